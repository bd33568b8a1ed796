//! What the placeholders of a description stand for.

use super::description::{Part, Template};
use crate::{Limits, Source};

/// What the placeholders of a template stand for in one run.
pub(super) struct Slots<'a> {
    pub(super) program: &'a str,
    pub(super) name: &'a str,
    pub(super) entry: &'a str,
    pub(super) source: &'a Source,
    pub(super) limits: &'a Limits,
}

impl Slots<'_> {
    /// The arguments, with `started` in place of the entry.
    pub(super) fn argv(&self, templates: &[Template], started: &[String]) -> Vec<String> {
        let mut argv = Vec::new();
        for template in templates {
            if template.0 == [Part::Args] {
                argv.extend(self.source.args.iter().cloned());
            } else if template.0 == [Part::Entry] {
                argv.extend(started.iter().cloned());
            } else {
                argv.push(self.render(template));
            }
        }
        argv
    }

    pub(super) fn render(&self, template: &Template) -> String {
        let memory = |percent: &u64| self.limits.memory_bytes / 100 * percent;
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Program => self.program.to_owned(),
            Part::Name => self.name.to_owned(),
            Part::Entry => self.entry.to_owned(),
            Part::Args => String::new(),
            // Every thread counts against the limit on processes, and has buffers of its own.
            Part::Threads => (self.limits.processes / 8).clamp(1, 4).to_string(),
            Part::MemoryBytes(percent) => memory(percent).to_string(),
            Part::MemoryMib(percent) => (memory(percent) >> 20).max(1).to_string(),
        };
        template.0.iter().map(part).collect()
    }
}
