//! The data sets of a repair.

use super::config::RepairConfig;
use super::error::RepairError;
use super::network::Network;
use crate::bundle::manifest::{DataRecord, DataRole};
use crate::input::dataset::{DataSet, OpenOptions};
use crate::progress::Progress;
use std::path::Path;

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
        let open = |path: &Path| {
            let set = DataSet::open(path, &options, &network.input, network.classes)?;
            set.tell(progress);
            Ok::<_, RepairError>(set)
        };
        let open_if = |path: &Option<std::path::PathBuf>| path.as_deref().map(open).transpose();
        let paths = &config.data;
        Ok(Self {
            clean: open(&paths.clean)?,
            backdoored: open_if(&paths.backdoored)?,
            test_clean: open_if(&paths.test_clean)?,
            test_backdoored: open_if(&paths.test_backdoored)?,
        })
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
