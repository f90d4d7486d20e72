//! The data sets of a repair.

use super::config::RepairConfig;
use super::error::RepairError;
use super::network::Network;
use crate::bundle::manifest::{DataRecord, DataRole};
use crate::input::dataset::{DataSet, OpenOptions};
use crate::progress::Progress;
use std::path::{Path, PathBuf};

/// The data sets, opened and checked against the network's input and classes.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) clean: DataSet,
    pub(super) backdoored: Option<DataSet>,
    test_clean: Option<DataSet>,
    test_backdoored: Option<DataSet>,
}

impl Data {
    pub(super) fn open(
        config: &RepairConfig,
        network: &Network,
        progress: &dyn Progress,
    ) -> Result<Self, RepairError> {
        let options = OpenOptions {
            skip_bad: config.skip_bad,
            exact_decode: config.exact_decode,
            ..OpenOptions::default()
        };
        let classes = network.classes;
        let open = |path: &Path, options: &OpenOptions| {
            Ok::<_, RepairError>(DataSet::open(path, options, &network.input, classes)?)
        };
        let paths = &config.data;
        let clean = open(&paths.clean, &options)?;
        clean.tell_clean(classes, progress);
        let alike = OpenOptions {
            names: clean.label_names().map(<[String]>::to_vec),
            ..options
        };
        let open_if = |path: &Option<PathBuf>| {
            let path = path.as_deref();
            path.map(|path| open(path, &alike)).transpose()
        };
        let data = Self {
            clean,
            backdoored: open_if(&paths.backdoored)?,
            test_clean: open_if(&paths.test_clean)?,
            test_backdoored: open_if(&paths.test_backdoored)?,
        };
        if let Some(set) = &data.test_clean {
            set.tell_clean(classes, progress);
        }
        let all_clean = || std::iter::once(&data.clean).chain(&data.test_clean);
        for set in data.backdoored.iter().chain(&data.test_backdoored) {
            set.tell(progress);
            all_clean().try_for_each(|clean| set.check_backdoored(clean))?;
        }
        Ok(data)
    }

    /// The sets that the sweep runs on.
    pub(super) fn validation(&self) -> Vec<&DataSet> {
        std::iter::once(&self.clean)
            .chain(&self.backdoored)
            .collect()
    }

    /// The clean set of the final table: the test set, or the validation set where there is none.
    pub(super) fn for_final_clean(&self) -> &DataSet {
        self.test_clean.as_ref().unwrap_or(&self.clean)
    }

    /// Is the clean set of the final table the one that the sweep runs on?
    pub(super) fn final_clean_was_swept(&self) -> bool {
        self.test_clean.is_none()
    }

    /// The backdoored set of the final table.
    pub(super) fn for_final_backdoored(&self) -> Option<&DataSet> {
        self.test_backdoored.as_ref().or(self.backdoored.as_ref())
    }

    /// What the manifest says of the data.
    pub(super) fn records(&self) -> Result<Vec<DataRecord>, RepairError> {
        let sets = [
            (DataRole::Clean, Some(&self.clean)),
            (DataRole::Backdoored, self.backdoored.as_ref()),
            (DataRole::TestClean, self.test_clean.as_ref()),
            (DataRole::TestBackdoored, self.test_backdoored.as_ref()),
        ];
        sets.into_iter()
            .filter_map(|(role, set)| Some((role, set?)))
            .map(|(role, set)| {
                Ok(DataRecord {
                    role,
                    name: set.name().to_owned(),
                    images: set.len(),
                    sha256: set.sha256()?,
                })
            })
            .collect()
    }
}
