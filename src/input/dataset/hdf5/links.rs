//! Soft links of a file's root group, which the HDF5 library does not follow.
//!
//! Source: HDF5 File Format Specification 4.0: superblocks (II), symbol tables (III.A to III.D), link messages (IV.A.2.g).

use super::newest::{Block, number};
use crate::files::open_plain;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Links that lead to links.
const MAX_STEPS: usize = 8;
/// Nodes of a symbol table that are read.
const MAX_NODES: usize = 1 << 12;
/// Longest name.
const MAX_NAME: usize = 4 << 10;

const SYMBOL_TABLE_CACHED: u64 = 1;
const SOFT_LINK_CACHED: u64 = 2;
const LINK: u8 = 0x06;

/// Where `name` of the root group leads; `name` itself where it is no soft link.
pub(super) fn resolve(path: &Path, name: &str) -> String {
    let links = open_plain(path).ok().and_then(|file| read(file).ok());
    let links = links.unwrap_or_default();
    let mut name = name.to_owned();
    for _ in 0..MAX_STEPS {
        let Some(target) = links.get(&name) else {
            break;
        };
        name = target.trim_start_matches('/').to_owned();
    }
    name
}

type Links = BTreeMap<String, String>;

fn read(file: File) -> std::io::Result<Links> {
    let mut file = Reader(file);
    let head = file.bytes(0, 100)?;
    let sizes_are_8 = |at: usize| head.get(at..at + 2) == Some(&[8, 8]);
    match head.get(8) {
        Some(0) if sizes_are_8(13) => file.symbol_table(&head[56..96]),
        Some(1) if sizes_are_8(13) => file.symbol_table(&head[60..]),
        Some(2 | 3) if sizes_are_8(9) => file.link_messages(number(&head[36..44])),
        _ => Ok(Links::new()),
    }
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

    /// The links of an old group, whose symbol table entry holds the places of its tree and of its heap.
    fn symbol_table(&mut self, entry: &[u8]) -> std::io::Result<Links> {
        let mut links = Links::new();
        if entry.len() < 40 || number(&entry[16..20]) != SYMBOL_TABLE_CACHED {
            return Ok(links);
        }
        let (tree, heap) = (number(&entry[24..32]), number(&entry[32..40]));
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
                let pairs = self.bytes(at + 24, 16 * count)?;
                nodes.extend(pairs.chunks_exact(16).map(|pair| number(&pair[8..])));
            } else if node.starts_with(b"SNOD") {
                for entry in self.bytes(at + 8, 40 * count)?.chunks_exact(40) {
                    if number(&entry[16..20]) == SOFT_LINK_CACHED {
                        let name = self.text(names.saturating_add(number(&entry[..8])))?;
                        let target = self.text(names.saturating_add(number(&entry[24..28])))?;
                        links.insert(name, target);
                    }
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

    /// The links of a new group, as messages in its object header.
    fn link_messages(&mut self, header: u64) -> std::io::Result<Links> {
        let Some(block) = Block::first(&mut self.0, header)? else {
            return Ok(Links::new());
        };
        let messages = block.messages();
        let links = messages.iter().filter(|message| message.kind == LINK);
        Ok(links.filter_map(|link| soft_link(&link.content)).collect())
    }
}

/// Name and target of a link message, if it is a soft link.
fn soft_link(content: &[u8]) -> Option<(String, String)> {
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
    if kind != 1 {
        return None;
    }
    let len = number(take(2)?);
    let target = take(usize::try_from(len).ok()?)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(name), text(target)))
}
