//! Soft links, which the HDF5 library does not follow, and the names in groups that it cannot list.
//!
//! Source: HDF5 File Format Specification 4.0: superblocks (II), symbol tables (III.A to III.D), link and symbol table messages
//! (IV.A.2.g, IV.A.2.r).

use super::newest::{Block, number};
use crate::files::open_plain;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Parts of names that are looked up on the way through links.
const MAX_STEPS: usize = 64;
/// Nodes of a symbol table that are read.
const MAX_NODES: usize = 1 << 12;
/// Longest name.
const MAX_NAME: usize = 4 << 10;

const SOFT_LINK_CACHED: u64 = 2;
const LINK: u8 = 0x06;
const SYMBOL_TABLE: u8 = 0x11;

/// What a name in a group stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// The object with this header.
    Hard(u64),
    /// Another name: from the root if it begins with `/`, else from the group of the link.
    Soft(String),
}

/// The names of a group; those of a format that is not known here are left out.
pub(super) type Links = BTreeMap<String, Link>;

/// The name without soft links of what `name`, from the root group, leads to; `name` itself where that cannot be told.
pub(super) fn resolve(path: &Path, name: &str) -> String {
    let found = open_plain(path).ok().and_then(|file| {
        let mut file = Reader(file);
        let root = file.root().ok()??;
        file.follow(root, name)
    });
    found.unwrap_or_else(|| name.to_owned())
}

/// The names of the group `within`, `a/b/` say, from the root group; none where they cannot be told.
pub(super) fn names(path: &Path, within: &str) -> Links {
    let found = open_plain(path).ok().and_then(|file| {
        let mut file = Reader(file);
        let mut group = file.root().ok()??;
        for part in parts(within) {
            let Some(Link::Hard(header)) = file.links(group).ok()?.remove(part) else {
                return None;
            };
            group = header;
        }
        file.links(group).ok()
    });
    found.unwrap_or_default()
}

fn parts(name: &str) -> impl Iterator<Item = &str> {
    let parts = name.split('/');
    parts.filter(|part| !part.is_empty() && *part != ".")
}

struct Reader(File);

impl Reader {
    /// At most `len` bytes from `offset` on.
    fn bytes(&mut self, offset: u64, len: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.seek(SeekFrom::Start(offset))?;
        self.0.by_ref().take(len as u64).read_to_end(&mut bytes)?;
        bytes.resize(len, 0);
        Ok(bytes)
    }

    /// The object header of the root group, where sizes are of 8 bytes.
    fn root(&mut self) -> std::io::Result<Option<u64>> {
        let head = self.bytes(0, 100)?;
        let sizes_are_8 = |at: usize| head.get(at..at + 2) == Some(&[8, 8]);
        // A symbol table entry holds the place of a name, then that of a header.
        let at = match head[8] {
            0 if sizes_are_8(13) => 56 + 8,
            1 if sizes_are_8(13) => 60 + 8,
            2 | 3 if sizes_are_8(9) => 36,
            _ => return Ok(None),
        };
        Ok(Some(number(&head[at..at + 8])))
    }

    /// `name` from the root group `root`, through soft links, as the names of hard links alone.
    fn follow(&mut self, root: u64, name: &str) -> Option<String> {
        let mut ahead: VecDeque<String> = parts(name).map(str::to_owned).collect();
        let mut groups = vec![root];
        let mut behind: Vec<String> = Vec::new();
        for _ in 0..MAX_STEPS {
            let Some(part) = ahead.pop_front() else {
                return Some(behind.join("/"));
            };
            let links = self.links(*groups.last()?).ok()?;
            match links.get(&part) {
                Some(Link::Soft(target)) => {
                    if target.starts_with('/') {
                        groups.truncate(1);
                        behind.clear();
                    }
                    for part in parts(target).collect::<Vec<_>>().into_iter().rev() {
                        ahead.push_front(part.to_owned());
                    }
                }
                Some(Link::Hard(header)) => {
                    groups.push(*header);
                    behind.push(part);
                }
                None => {
                    behind.push(part);
                    behind.extend(ahead);
                    return Some(behind.join("/"));
                }
            }
        }
        None
    }

    /// The names of the group with this object header.
    fn links(&mut self, header: u64) -> std::io::Result<Links> {
        if let Some(block) = Block::first(&mut self.0, header)? {
            let messages = block.messages();
            let links = messages.iter().filter(|message| message.kind == LINK);
            return Ok(links.filter_map(|link| read_link(&link.content)).collect());
        }
        match self.symbol_table_message(header)? {
            Some([tree, heap]) => self.symbol_table(tree, heap),
            None => Ok(Links::new()),
        }
    }

    /// The places of tree and heap in the first block of an object header of version 1.
    fn symbol_table_message(&mut self, header: u64) -> std::io::Result<Option<[u64; 2]>> {
        let prefix = self.bytes(header, 16)?;
        let size = usize::try_from(number(&prefix[8..12])).unwrap_or(0);
        if prefix[0] != 1 {
            return Ok(None);
        }
        let block = self.bytes(header.saturating_add(16), size.min(MAX_NAME))?;
        let mut rest = block.as_slice();
        while let Some((head, after)) = rest.split_at_checked(8) {
            let size = usize::from(u16::from_le_bytes([head[2], head[3]]));
            let Some((content, after)) = after.split_at_checked(size) else {
                break;
            };
            if head[0] == SYMBOL_TABLE && head[1] == 0 && content.len() >= 16 {
                return Ok(Some([number(&content[..8]), number(&content[8..16])]));
            }
            rest = after;
        }
        Ok(None)
    }

    /// The names of an old group with its tree and its heap.
    fn symbol_table(&mut self, tree: u64, heap: u64) -> std::io::Result<Links> {
        let mut links = Links::new();
        let heap = self.bytes(heap, 32)?;
        if !heap.starts_with(b"HEAP") {
            return Ok(links);
        }
        let names = number(&heap[24..32]);
        let mut nodes = vec![tree];
        for _ in 0..MAX_NODES {
            let Some(at) = nodes.pop() else { break };
            let node = self.bytes(at, 24)?;
            let count = usize::from(u16::from_le_bytes([node[6], node[7]]));
            if node.starts_with(b"TREE") {
                // A key stands before every child.
                let pairs = self.bytes(at.saturating_add(24), 16 * count)?;
                nodes.extend(pairs.chunks_exact(16).map(|pair| number(&pair[8..])));
            } else if node.starts_with(b"SNOD") {
                let entries = self.bytes(at.saturating_add(8), 40 * count)?;
                for entry in entries.chunks_exact(40) {
                    let name = self.text(names.saturating_add(number(&entry[..8])))?;
                    let link = match number(&entry[16..20]) {
                        SOFT_LINK_CACHED => {
                            let target = names.saturating_add(number(&entry[24..28]));
                            Link::Soft(self.text(target)?)
                        }
                        _ => Link::Hard(number(&entry[8..16])),
                    };
                    links.insert(name, link);
                }
            }
        }
        Ok(links)
    }

    /// Text up to a zero byte.
    fn text(&mut self, at: u64) -> std::io::Result<String> {
        let bytes = self.bytes(at, MAX_NAME)?;
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

/// Name and target of a link message, if it is a hard or a soft link.
fn read_link(content: &[u8]) -> Option<(String, Link)> {
    let (&[1, flags], mut rest) = content.split_first_chunk()? else {
        return None;
    };
    let mut take = |count: usize| {
        let (taken, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(taken)
    };
    let kind = match flags & 8 {
        0 => 0,
        _ => take(1)?[0],
    };
    if flags & 4 != 0 {
        take(8)?;
    }
    if flags & 16 != 0 {
        take(1)?;
    }
    let len = number(take(1 << (flags & 3))?);
    let name = take(usize::try_from(len).ok()?)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let link = match kind {
        0 => Link::Hard(number(take(8)?)),
        1 => {
            let len = number(take(2)?);
            Link::Soft(text(take(usize::try_from(len).ok()?)?))
        }
        _ => return None,
    };
    Some((text(name), link))
}
