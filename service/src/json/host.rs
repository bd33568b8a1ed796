//! What a host can enforce, in JSON.

use std::collections::BTreeMap;

use belljar::{Finding, Inspection};
use schemars::JsonSchema;
use serde::Serialize;

/// The whole of it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HostRow<'a> {
    strict: bool,
    level: Option<&'a str>,
    layers: Vec<FindingRow<'a>>,
    limits: Vec<FindingRow<'a>>,
    next: Option<NextRow<'a>>,
    notes: &'a [String],
    warnings: &'a [String],
    host: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize, JsonSchema)]
struct FindingRow<'a> {
    name: &'a str,
    state: &'a str,
    how: &'a str,
    cost_us: u64,
    errno: i32,
    fix: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct NextRow<'a> {
    level: &'a str,
    why: &'a str,
    fix: &'a str,
}

/// The name of a level.
pub(crate) fn level_name(level: belljar::Floor) -> &'static str {
    // On the command line the third level is called strict.
    if level == belljar::Floor::L3 { "L3" } else { level.name() }
}

impl<'a> HostRow<'a> {
    pub(crate) fn new(inspection: &'a Inspection) -> Self {
        let rows = |rows: &'a [Finding]| rows.iter().map(FindingRow::new).collect();
        Self {
            strict: inspection.is_strict(),
            level: inspection.level.map(level_name),
            layers: rows(&inspection.layers),
            limits: rows(&inspection.limits),
            next: inspection.next.as_ref().map(|next| NextRow {
                level: level_name(next.level),
                why: &next.why,
                fix: &next.fix,
            }),
            notes: &inspection.notes,
            warnings: &inspection.warnings,
            host: inspection.facts.iter().map(|(name, fact)| (*name, fact.as_str())).collect(),
        }
    }
}

impl<'a> FindingRow<'a> {
    fn new(finding: &'a Finding) -> Self {
        Self {
            name: finding.name,
            state: finding.state.name(),
            how: &finding.how,
            cost_us: u64::try_from(finding.cost.as_micros()).unwrap_or(u64::MAX),
            errno: finding.errno,
            fix: (!finding.fix.is_empty()).then_some(finding.fix.as_str()),
        }
    }
}
