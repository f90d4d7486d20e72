//! The networks of a bundle that answer.

use super::Bundle;
use super::manifest::BADNET_FILE;
use crate::engine::{GoodNetFiles, NetworkFiles};

/// A file that the manifest names is not in the bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0} in the bundle, found none")]
pub struct MissingFile(pub String);

impl Bundle {
    /// Is there a fused graph over exactly the drops that the bundle reaches?
    #[must_use]
    pub fn has_fused_graph(&self) -> bool {
        let reached = self.manifest().reached().map(|(drop, _)| drop);
        let record = self.manifest().goodnet.as_ref();
        record.is_some_and(|record| record.drops.iter().copied().eq(reached))
    }

    /// B, every B' that is reached, in ascending order of the drops, and the repaired network: as the fused graph, or a file each.
    ///
    /// # Errors
    /// If one of the files is not there.
    pub fn networks(&self, fused: bool) -> Result<GoodNetFiles<'_>, MissingFile> {
        let manifest = self.manifest();
        let file = |name: &str| self.file(name).ok_or_else(|| MissingFile(name.to_owned()));
        let goodnet = manifest.goodnet.as_ref().filter(|_| fused);
        let networks = match goodnet {
            Some(record) => NetworkFiles::Fused {
                graph: file(&record.file)?,
                drops: record.drops.len(),
            },
            None => NetworkFiles::Separate {
                badnet: file(BADNET_FILE)?,
                pruned: manifest
                    .reached()
                    .map(|(_, record)| file(&record.file))
                    .collect::<Result<_, _>>()?,
            },
        };
        let in_graph = goodnet.is_some_and(|record| record.repaired);
        let repaired = manifest.repaired.as_ref();
        let repaired = repaired.map(|record| file(&record.file)).transpose()?;
        Ok(GoodNetFiles {
            networks,
            repaired: repaired.filter(|_| !in_graph),
        })
    }
}
