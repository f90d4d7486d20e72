//! Weights in HDF5 by layer and name: a whole model's, and those of `save_weights` in Keras 2.
//!
//! The group of a layer holds them under paths that repeat the layer's name. The group of a model inside the model holds those of all its
//! layers: `base/conv/kernel:0`, or `head/head/inner/dense/kernel`.

use super::config::Config;
use super::weights::Variables;
use hdf5_pure::{Dataset, Group};
use std::collections::{BTreeMap, HashMap};

/// Groups below a layer that are followed; Keras nests a handful.
const MAX_DEPTH: usize = 12;

/// A data set and the groups around it, the layer's own left out.
struct Found {
    around: Vec<String>,
    name: String,
    data: Dataset,
}

/// The weights of every layer of `config` below `root`.
pub(super) fn variables(root: &Group, config: &Config) -> Result<Variables, String> {
    let mut read: HashMap<&str, Vec<Found>> = HashMap::new();
    let groups = names(root.groups())?;
    let mut variables = Variables::new();
    for layer in &config.layers {
        let [outer, inner @ ..] = layer.path.as_slice() else {
            continue;
        };
        if !groups.contains(outer) {
            continue;
        }
        if !read.contains_key(outer.as_str()) {
            let group = root.group(outer).map_err(|error| error.to_string())?;
            let mut found = Vec::new();
            collect(&group, &mut Vec::new(), &mut found)?;
            read.insert(outer, found);
        }
        let found = of_layer(&read[outer.as_str()], inner)
            .map_err(|reason| format!("layer {}: {reason}", layer.name))?;
        variables.insert(layer.name.clone(), found);
    }
    Ok(variables)
}

/// The weights of the layer at `path` within its group.
fn of_layer(all: &[Found], path: &[String]) -> Result<BTreeMap<String, Dataset>, String> {
    let mut best: BTreeMap<String, (usize, Dataset)> = BTreeMap::new();
    for found in all {
        let fits = fit(&found.around, path);
        let Some(fits) = fits.filter(|&fits| path.is_empty() || fits > 0) else {
            continue;
        };
        match best.get(&found.name) {
            Some(&(other, _)) if other > fits => continue,
            Some(&(other, _)) if other == fits && !path.is_empty() => {
                return Err(format!(
                    "expected one weight `{}` in the model around it, found several",
                    found.name
                ));
            }
            _ => best.insert(found.name.clone(), (fits, found.data.clone())),
        };
    }
    let found = best.into_iter();
    Ok(found.map(|(name, (_, data))| (name, data)).collect())
}

/// How many of a weight's groups, from the innermost, are called as the layer and the models around it; none where the innermost is not.
fn fit(around: &[String], path: &[String]) -> Option<usize> {
    let (Some(own), false) = (path.last(), around.is_empty()) else {
        return path.is_empty().then_some(0);
    };
    if around.last() != Some(own) {
        return None;
    }
    let pairs = around.iter().rev().zip(path.iter().rev());
    Some(pairs.take_while(|(a, b)| a == b).count())
}

fn collect(group: &Group, around: &mut Vec<String>, found: &mut Vec<Found>) -> Result<(), String> {
    if around.len() > MAX_DEPTH {
        return Err("groups are nested too deep".to_owned());
    }
    for name in names(group.datasets())? {
        let data = group.dataset(&name).map_err(|error| error.to_string())?;
        // Keras 2 writes "kernel:0", Keras 3 "kernel".
        let short = name.split(':').next().unwrap_or_default().to_owned();
        found.push(Found {
            around: around.clone(),
            name: short,
            data,
        });
    }
    for name in names(group.groups())? {
        let inner = group.group(&name).map_err(|error| error.to_string())?;
        around.push(name);
        collect(&inner, around, found)?;
        around.pop();
    }
    Ok(())
}

fn names(names: Result<Vec<String>, hdf5_pure::Error>) -> Result<Vec<String>, String> {
    names.map_err(|error| format!("expected a whole HDF5 file, found {error}"))
}
