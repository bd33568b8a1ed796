//! Artifacts of runs, for as long as there is room for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rmcp::model::{Resource, ResourceContents};

use crate::json::Artifact;

pub(super) const TEMPLATE: &str = "belljar://runs/{id}/artifacts/{+path}";
/// Of all that is kept.
const MOST_BYTES: usize = 64 << 20;
const MOST_ARTIFACTS: usize = 1024;

/// The newest artifacts.
#[derive(Default)]
pub(super) struct Shelf {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    items: VecDeque<Item>,
    bytes: usize,
}

struct Item {
    tenant: Arc<str>,
    uri: String,
    path: String,
    media_type: String,
    bytes: Arc<[u8]>,
}

impl Shelf {
    /// Keeps an artifact, and gives up older ones for it. The link to it, unless it is too large.
    pub(super) fn keep(
        &self,
        tenant: &Arc<str>,
        id: &str,
        artifact: &Artifact,
    ) -> Option<Resource> {
        let bytes = &artifact.content.as_ref()?.0;
        if bytes.len() > MOST_BYTES {
            return None;
        }
        let item = Item {
            tenant: Arc::clone(tenant),
            uri: uri(id, &artifact.path),
            path: artifact.path.clone(),
            media_type: artifact.media_type.to_string(),
            bytes: bytes.as_slice().into(),
        };
        let link = item.link();
        self.lock().put(item);
        Some(link)
    }

    /// What is kept for a tenant, the newest first.
    pub(super) fn list(&self, tenant: &str) -> Vec<Resource> {
        let kept = self.lock();
        let items = kept.items.iter().rev().filter(|item| &*item.tenant == tenant);
        items.map(Item::link).collect()
    }

    pub(super) fn read(&self, tenant: &str, uri: &str) -> Option<ResourceContents> {
        let (bytes, media_type) = {
            let kept = self.lock();
            let is_it = |item: &&Item| item.uri == uri && &*item.tenant == tenant;
            let item = kept.items.iter().find(is_it)?;
            (Arc::clone(&item.bytes), item.media_type.clone())
        };
        let contents = match std::str::from_utf8(&bytes) {
            Ok(text) if !media_type.starts_with("image/") => ResourceContents::text(text, uri),
            _ => ResourceContents::blob(BASE64.encode(&bytes), uri),
        };
        Some(contents.with_mime_type(media_type))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, item: Item) {
        self.bytes += item.bytes.len();
        self.items.push_back(item);
        while self.bytes > MOST_BYTES || self.items.len() > MOST_ARTIFACTS {
            let Some(oldest) = self.items.pop_front() else { break };
            self.bytes -= oldest.bytes.len();
        }
    }
}

impl Item {
    fn link(&self) -> Resource {
        Resource::new(&self.uri, &self.path)
            .with_mime_type(&self.media_type)
            .with_size(self.bytes.len() as u64)
    }
}

/// The address of an artifact. What a path may hold and an address may not is escaped (RFC 3986,
/// 2.1).
fn uri(id: &str, path: &str) -> String {
    let mut uri = format!("belljar://runs/{id}/artifacts/");
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.extend(["%", &format!("{byte:02X}")]);
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_only_what_an_address_may_have() {
        assert_eq!(uri("1", "a b/ä%.txt"), "belljar://runs/1/artifacts/a%20b/%C3%A4%25.txt");
    }

    #[test]
    fn the_oldest_go_first_and_nobody_sees_those_of_others() {
        let shelf = Shelf::default();
        let (mine, theirs): (Arc<str>, Arc<str>) = ("1".into(), "2".into());
        let put = |tenant: &Arc<str>, name: &str, size: usize| {
            let item = Item {
                tenant: Arc::clone(tenant),
                uri: uri("1", name),
                path: name.to_owned(),
                media_type: "text/plain".to_owned(),
                bytes: vec![b'x'; size].into(),
            };
            shelf.lock().put(item);
        };
        put(&mine, "a", 1);
        put(&theirs, "b", 1);
        assert!(shelf.read("1", &uri("1", "b")).is_none());
        assert!(shelf.read("2", &uri("1", "b")).is_some());
        put(&mine, "c", MOST_BYTES - 1);
        assert!(shelf.read("1", &uri("1", "a")).is_none(), "it is too much for all of them");
        assert_eq!((shelf.list("1").len(), shelf.list("2").len()), (1, 1));
        put(&mine, "d", 1);
        assert!(shelf.list("2").is_empty());
    }
}
