//! `belljar check`.

use std::path::Path;
use std::process::ExitCode;

use belljar::{Error, RuleFinding, Rules};
use serde_json::{Value, json};

use super::options::CheckOptions;
use super::{input, known_runtimes, say};
use crate::json::{self, CheckAnswer, FindingRow};

/// The code breaks a rule.
const FOUND: u8 = 1;
/// What stands for a file where there is none.
const NO_FILE: &str = "code";

pub(super) fn main(options: CheckOptions) -> Result<ExitCode, Error> {
    let runtimes = known_runtimes(options.runtimes)?;
    let (detected, source) = input::code(options.code, options.file.as_deref(), &runtimes)?;
    let runtime = options.runtime.or(detected);
    let runtime = runtimes.get(runtime.as_deref().unwrap_or(input::USUAL_RUNTIME))?;
    let rules = Rules { mode: options.mode, modules: options.modules.into_iter().collect() };
    let file = options.file.as_deref().filter(|path| path.as_os_str() != "-").map(Path::display);
    let file = file.map_or_else(|| NO_FILE.to_owned(), |path| path.to_string());
    let findings = match runtime.admit(&source, &rules) {
        Ok(()) => Vec::new(),
        Err(Error::Refused { findings, .. }) if !findings.is_empty() => findings,
        // Nothing was refused to run: it could not be checked.
        Err(Error::Refused { what, .. }) => return Err(Error::Invalid(what)),
        Err(error) => return Err(error),
    };
    // As a person, and an editor, would open it.
    let named = |finding: &RuleFinding| FindingRow { file: file.clone(), ..finding.into() };
    let findings: Vec<FindingRow> = findings.iter().map(named).collect();
    let status = if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) };
    let text = if options.sarif {
        format!("{}\n", json::line(&sarif(&findings)))
    } else if options.json {
        format!("{}\n", json::line(&CheckAnswer { mode: options.mode.name(), findings }))
    } else {
        let lines =
            findings.iter().flat_map(|finding| [say::plain(&line(finding)), "\n".to_owned()]);
        lines.collect()
    };
    say::print(&text)?;
    Ok(status)
}

/// A finding as compilers tell theirs.
pub(super) fn line(finding: &FindingRow) -> String {
    let FindingRow { message, advice, rule, .. } = finding;
    let advice = if advice.is_empty() { String::new() } else { format!("; {advice}") };
    format!("{}: {message}{advice} [{rule}]", finding.place(NO_FILE))
}

/// Findings in the Static Analysis Results Interchange Format, version 2.1.0.
fn sarif(findings: &[FindingRow]) -> Value {
    let mut ids: Vec<&str> = findings.iter().map(|finding| &*finding.rule).collect();
    ids.sort_unstable();
    ids.dedup();
    let rules: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
    let results = findings.iter().map(|finding| {
        let FindingRow { line, column, text, .. } = finding;
        let region = json!({
            "startLine": line,
            "startColumn": column,
            "snippet": { "text": text },
        });
        let place = json!({
            "artifactLocation": { "uri": uri(&finding.file) },
            "region": region,
        });
        let says = [&*finding.message, &*finding.advice];
        let says = says.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
        json!({
            "ruleId": finding.rule,
            "ruleIndex": ids.iter().position(|id| *id == finding.rule),
            "level": "error",
            "message": { "text": says.join("; ") },
            "locations": [{ "physicalLocation": place }],
        })
    });
    let driver = json!({
        "name": "belljar",
        "version": env!("CARGO_PKG_VERSION"),
        "rules": rules,
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// A path as a reference that is a URI, as SARIF (3.4.3) and RFC 3986 want it.
fn uri(path: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');
    let path = utf8_percent_encode(path, KEPT).to_string();
    if path.starts_with('/') { format!("file://{path}") } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(file: &str) -> FindingRow {
        FindingRow {
            file: file.to_owned(),
            line: 3,
            column: 5,
            rule: "python/import".to_owned(),
            text: "import os".to_owned(),
            message: "os is no module of this mode".to_owned(),
            advice: "leave it out".to_owned(),
        }
    }

    #[test]
    fn a_finding_is_a_line() {
        let told = "a b.py:3:5: os is no module of this mode; leave it out [python/import]";
        assert_eq!(line(&finding("a b.py")), told);
        assert!(line(&finding("")).starts_with("code:3:5: "));
    }

    /// What section 3 of the standard requires of the objects that are used here.
    #[test]
    fn sarif_has_what_its_standard_requires() {
        let log = sarif(&[finding("a b.py"), finding("/srv/ä.py")]);
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        let driver = &run["tool"]["driver"];
        assert_eq!(
            (&driver["name"], driver["rules"].as_array().unwrap().len()),
            (&json!("belljar"), 1)
        );
        let results = run["results"].as_array().unwrap();
        for (result, uri) in results.iter().zip(["a%20b.py", "file:///srv/%C3%A4.py"]) {
            let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(driver["rules"][at]["id"], result["ruleId"]);
            assert!(!result["message"]["text"].as_str().unwrap().is_empty());
            assert_eq!(result["level"], "error");
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uri"], uri);
            assert_eq!(
                (&place["region"]["startLine"], &place["region"]["startColumn"]),
                (&json!(3), &json!(5))
            );
        }
        assert_eq!(results.len(), 2);
        assert_eq!(sarif(&[])["runs"][0]["results"], json!([]));
    }
}
