//! The job: from a network file and clean images to a folder with the report.

use super::investigate::{Investigated, Subject, investigate};
use super::page;
use super::report::{NetworkRecord, REPORT_HTML, REPORT_JSON, Report};
use super::show::Pictures;
use crate::bundle::manifest::DataRole;
use crate::bundle::sha256_hex;
use crate::defence::clean::{CleanCollector, CleanError, CleanSet};
use crate::diagnose::{self, DiagnoseError, Questioned};
use crate::engine::{Engine, EngineError};
use crate::format::{self, FormatError, Imported, ReadOptions};
use crate::input::dataset::{DataError, DataSet, OpenOptions};
use crate::input::pixels::PixelRule;
use crate::onnx::{self, OnnxError};
use crate::progress::{Cancel, Progress};
use crate::search::maps::MapNetwork;
use crate::search::{DEFAULT_EFFORT, SearchOptions, SearchedNetwork};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Most clean images that are searched on.
const MOST_IMAGES: usize = 2000;
/// Most bytes that they may take as the network is fed them.
const MOST_IMAGE_BYTES: usize = 384 << 20;

/// An audit, as validated from the command line.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// The network as delivered.
    pub model: PathBuf,
    /// What its file leaves open.
    pub read: ReadOptions,
    /// Clean images.
    pub clean: PathBuf,
    /// Skip images that cannot be read instead of failing.
    pub skip_bad: bool,
    /// Audit even where accuracy is near chance, another way of feeding fits better, or all labels are the same.
    pub allow_poor: bool,
    /// Decode large JPEG files whole ([`Detail`](crate::input::image::Detail)).
    pub exact_decode: bool,
    /// How pixels become values.
    pub pixels: PixelRule,
    /// Names of the classes.
    pub names: Option<Vec<String>>,
    /// Forward passes at most.
    pub effort: usize,
    /// The seed; from the network and the clean images where none.
    pub seed: Option<u64>,
}

impl AuditConfig {
    /// What `goodnet audit --model MODEL --clean CLEAN` does: pixels 0..255 unscaled, the default effort.
    #[must_use]
    pub fn new(model: impl Into<PathBuf>, clean: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            read: ReadOptions::default(),
            clean: clean.into(),
            skip_bad: false,
            allow_poor: false,
            exact_decode: false,
            pixels: PixelRule::default(),
            names: None,
            effort: DEFAULT_EFFORT,
            seed: None,
        }
    }
}

/// Why an audit failed.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The network's file cannot be used.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The network's graph cannot be used.
    #[error("{}: {source}", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: OnnxError,
    },
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The clean images cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Network and clean images are of no use together.
    #[error(transparent)]
    Diagnose(#[from] DiagnoseError),
    /// The clean images are not of the network's shape.
    #[error(transparent)]
    Clean(#[from] CleanError),
    /// Other names than classes.
    #[error("expected {classes} names, one for each class, found {names}")]
    Names {
        /// Classes.
        classes: u32,
        /// Names.
        names: usize,
    },
    /// The runtime failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A finished audit.
#[derive(Debug)]
pub struct Audited {
    /// The report.
    pub report: Report,
    /// Its pictures.
    pub pictures: Pictures,
}

impl Audited {
    /// Every file of the report: JSON, page and pictures.
    ///
    /// # Errors
    /// If a figure is not finite.
    pub fn files(&self) -> Result<Pictures, serde_json::Error> {
        files(&self.report, &self.pictures)
    }
}

/// Every file of `report`: JSON, page and pictures.
///
/// # Errors
/// If a figure is not finite.
pub fn files(report: &Report, pictures: &Pictures) -> Result<Pictures, serde_json::Error> {
    let mut files = pictures.clone();
    let mut json = serde_json::to_vec_pretty(report)?;
    json.push(b'\n');
    files.insert(REPORT_JSON.to_owned(), json);
    files.insert(
        REPORT_HTML.to_owned(),
        page::render(report, pictures).into_bytes(),
    );
    Ok(files)
}

/// Audits the network of `config`. A cancelled audit gives the report of what is known so far.
///
/// # Errors
/// If the network or the images cannot be used, or the runtime fails.
pub fn audit(
    config: &AuditConfig,
    engine: &Engine,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Audited, AuditError> {
    let started = Instant::now();
    let path = &config.model;
    let bad = |source: OnnxError| AuditError::Network {
        path: path.clone(),
        source,
    };
    let imported = format::read_network(path, &config.read)?;
    let mut model = onnx::prepare(&imported.model).map_err(bad)?;
    let as_delivered = onnx::prepare_as_delivered(&imported.model).map_err(bad)?;
    crate::import::check(engine, path, &imported.model)?;
    let ports = onnx::ports(&model).map_err(bad)?;
    let input = config
        .pixels
        .spec((ports.height, ports.width, ports.channels), ports.layout);
    let options = OpenOptions {
        skip_bad: config.skip_bad,
        exact_decode: config.exact_decode,
        names: config.names.clone(),
        ..OpenOptions::default()
    };
    let data = DataSet::open(&config.clean, &options, &input, ports.classes)?;
    data.tell_clean(ports.classes, progress);
    let names = config
        .names
        .clone()
        .or_else(|| data.label_names().map(<[String]>::to_vec));
    if let Some(names) = &names
        && names.len() != ports.classes as usize
    {
        return Err(AuditError::Names {
            classes: ports.classes,
            names: names.len(),
        });
    }
    let questioned = Questioned {
        as_delivered: (as_delivered != model).then_some(as_delivered),
        model: &model,
        input: &input,
        classes: ports.classes,
    };
    let proven = diagnose::check(questioned, &data, engine, progress, config.allow_poor)?;
    let is_proven = proven.is_some();
    model = proven.unwrap_or(model);
    let subject = Subject {
        network: NetworkRecord {
            file: file_name(path),
            sha256: sha256_of(path, &imported)?,
            classes: ports.classes,
            input: [ports.height, ports.width],
            names,
        },
        data_name: data.name().to_owned(),
        data_sha256: data.sha256()?,
        input,
        backend: engine.info().to_string(),
    };
    drop(imported);
    let seed = config
        .seed
        .unwrap_or_else(|| seed_of(&subject.network.sha256, &subject.data_sha256));
    let clean = collect(&data, &subject.input, seed)?;
    let head = diagnose::head(&model, is_proven).ok();
    let network = SearchedNetwork::new(&model, head.as_ref());
    let map_network = head.as_ref().map(|head| MapNetwork::new(&model, head));
    // A large network would be held in memory all through the search.
    drop((model, head));
    let search = SearchOptions {
        effort: config.effort,
        seed,
    };
    let networks = Investigated {
        engine,
        network: &network,
        map_network: map_network.as_ref(),
    };
    let found = investigate(&networks, &subject, &clean, search, progress, cancel)?;
    let mut report = found.report;
    report.search.seconds = Some((10.0 * started.elapsed().as_secs_f64()).round() / 10.0);
    Ok(Audited {
        report,
        pictures: found.pictures,
    })
}

/// The same inputs give the same search, and who does not have the owner's clean images cannot foresee the seed.
pub(crate) fn seed_of(network_sha256: &str, data_sha256: &str) -> u64 {
    let digest = sha256_hex(format!("{network_sha256} {data_sha256}").as_bytes());
    u64::from_str_radix(&digest[..16], 16).unwrap_or_default()
}

/// A uniform sample of the clean images that fits the memory.
pub(crate) fn collect(
    data: &DataSet,
    spec: &crate::input::InputSpec,
    seed: u64,
) -> Result<CleanSet, AuditError> {
    let limit = (MOST_IMAGE_BYTES / 4 / spec.image_len().max(1)).clamp(1, MOST_IMAGES);
    let mut collector = CleanCollector::new(spec, limit, seed);
    for batch in data.chunks() {
        let batch = batch?;
        collector.push(DataRole::Clean, batch.images.view(), &batch.labels)?;
    }
    Ok(collector.finish())
}

pub(crate) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn sha256_of(path: &Path, imported: &Imported) -> Result<String, AuditError> {
    imported.sha256(path).map_err(|source| AuditError::Read {
        path: path.to_owned(),
        source,
    })
}
