//! Compiles the tables of system calls into one BPF program per profile.
//!
//! What a program begins with and how it judges arguments is seccompiler's work. What lies between
//! is done here: seccompiler compares system calls one after the other and knows two verdicts per
//! program, where a worker wants a binary search, and one program for all its verdicts.

#[path = "src/layers/seccomp/conditions.rs"]
#[expect(clippy::wildcard_imports, reason = "the names of the man pages")]
mod conditions;
#[path = "src/layers/seccomp/network.rs"]
#[expect(clippy::wildcard_imports, reason = "the names of the man pages")]
mod network;
#[path = "src/layers/seccomp/table.rs"]
#[expect(clippy::wildcard_imports, reason = "the names of the man pages")]
mod table;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use conditions::{CONDITIONS, Condition, Exception, TELLING, WHOLE};
use network::{Combination, Test};
use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};
use table::{DEFAULT, GROUPS, PROFILES, Profile, Verdict};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Loads the architecture, compares it, kills, loads the number of the call.
const PROLOGUE: usize = 4;

/// No errno: the call is never answered.
const FATAL: i32 = 0;

/// What the code of a call is made of.
#[derive(Clone, Copy)]
enum Rule {
    Always(Verdict),
    Judged(Condition),
    Combined(Combination),
}

fn main() -> Result<()> {
    // The tables are part of this program: who changes them builds, and runs, it again.
    println!("cargo::rerun-if-changed=Cargo.toml");
    // The numbers in the tables are those of the machine that runs this.
    if env::var("CARGO_CFG_TARGET_ARCH")? != env::consts::ARCH {
        return Err("belljar-worker must be built on the architecture it runs on".into());
    }
    let mut text = String::new();
    let mut denied = BTreeMap::new();
    for profile in PROFILES {
        let rules = rules(profile)?;
        write_program(&mut text, profile.name, &program(&rules, profile.first)?)?;
        note_denials(&rules, &mut denied)?;
    }
    write_denials(&mut text, &denied)?;
    let path = PathBuf::from(env::var("OUT_DIR")?).join("programs.rs");
    Ok(fs::write(path, text)?)
}

fn rules(profile: &Profile) -> Result<BTreeMap<u32, Rule>> {
    let mut rules = BTreeMap::new();
    let mut add = |call: libc::c_long, rule| match rules.insert(u32::try_from(call)?, rule) {
        None => Ok(()),
        Some(_) => Err(Box::<dyn Error>::from(format!("call {call} stands in the tables twice"))),
    };
    let reasons = GROUPS.iter().flat_map(|(_, rows)| *rows).map(|(_, reason)| reason);
    let reasons = reasons.chain(CONDITIONS.iter().map(|condition| &condition.reason));
    let reasons = reasons.chain(profile.first.iter().map(|exception| &exception.reason));
    let reasons = reasons.chain(profile.judged.iter().map(|combination| &combination.reason));
    let instead = profile.instead.iter().copied().flatten();
    if reasons.chain(instead.clone().map(|(_, (_, reason))| reason)).any(|it| it.is_empty()) {
        return Err("a verdict without a reason".into());
    }
    for (verdict, rows) in GROUPS {
        for call in rows.iter().flat_map(|(calls, _)| *calls) {
            add(*call, Rule::Always(*verdict))?;
        }
    }
    for condition in CONDITIONS {
        for call in condition.calls {
            add(*call, Rule::Judged(*condition))?;
        }
    }
    for (verdict, (calls, _)) in instead {
        for call in *calls {
            rules.insert(u32::try_from(*call)?, Rule::Always(*verdict));
        }
    }
    for combination in profile.judged {
        for call in combination.calls {
            rules.insert(u32::try_from(*call)?, Rule::Combined(*combination));
        }
    }
    Ok(rules)
}

fn program(rules: &BTreeMap<u32, Rule>, first: &[Exception]) -> Result<BpfProgram> {
    // Each range begins where the one before it ends; the last one has no end.
    let mut ranges = vec![(0, vec![end(DEFAULT)])];
    let mut begin = |number, code: BpfProgram| {
        ranges.pop_if(|(start, _)| *start == number);
        if ranges.last().is_none_or(|(_, last)| *last != code) {
            ranges.push((number, code));
        }
    };
    for (number, rule) in rules {
        begin(*number, [exceptions(*number, first)?, code(*number, *rule)?].concat());
        begin(*number + 1, vec![end(DEFAULT)]);
    }
    let mut program = frame(0, Vec::new())?.drain(..PROLOGUE).collect::<Vec<_>>();
    program.extend(search(&ranges)?);
    match program.len() {
        0..4096 => Ok(program),
        length => Err(format!("{length} instructions are more than the kernel takes").into()),
    }
}

/// A balanced binary search for the range that holds the number of the call.
fn search(ranges: &[(u32, BpfProgram)]) -> Result<BpfProgram> {
    if let [(_, code)] = ranges {
        return Ok(code.clone());
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let start = high.first().ok_or("a search among no ranges")?.0;
    let (low, high) = (search(low)?, search(high)?);
    // A conditional jump reaches 255 instructions; an unconditional one any.
    let mut code = match u8::try_from(low.len()) {
        Ok(over) => vec![step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, over, 0, start)?],
        Err(_) => vec![
            step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, start)?,
            step(libc::BPF_JMP | libc::BPF_JA, 0, 0, u32::try_from(low.len())?)?,
        ],
    };
    code.extend(low);
    code.extend(high);
    Ok(code)
}

fn code(number: u32, rule: Rule) -> Result<BpfProgram> {
    let mut code = BpfProgram::new();
    let otherwise = match rule {
        Rule::Always(verdict) => verdict,
        Rule::Judged(Condition { argument, mask, cases, otherwise, .. }) => {
            for (values, verdict) in cases {
                code.extend(case(number, &[Test { argument, mask, values }], *verdict)?);
            }
            otherwise
        }
        Rule::Combined(Combination { cases, otherwise, .. }) => {
            for (tests, verdict) in cases {
                code.extend(case(number, tests, *verdict)?);
            }
            otherwise
        }
    };
    code.push(end(otherwise));
    Ok(code)
}

fn exceptions(number: u32, first: &[Exception]) -> Result<BpfProgram> {
    let mut code = BpfProgram::new();
    for Exception { argument, mask, values, verdict, .. } in
        first.iter().filter(|exception| exception.call == libc::c_long::from(number))
    {
        let test = Test { argument: *argument, mask: *mask, values };
        code.extend(case(number, &[test], *verdict)?);
    }
    Ok(code)
}

/// Ends with `verdict` where every test holds, and falls out at the end otherwise. A rule of
/// seccompiler is one value for each argument, so there is one for each combination of them.
fn case(number: u32, tests: &[Test], verdict: Verdict) -> Result<BpfProgram> {
    let mut rules = vec![Vec::new()];
    for Test { argument, mask, values } in tests {
        let compare = match *mask {
            WHOLE => SeccompCmpOp::Eq,
            mask => SeccompCmpOp::MaskedEq(u64::from(mask.cast_unsigned())),
        };
        let mut longer = Vec::new();
        for (rule, value) in rules.iter().flat_map(|rule| values.iter().map(move |it| (rule, it))) {
            let mut rule: Vec<SeccompCondition> = Clone::clone(rule);
            let value = u64::from(value.cast_unsigned());
            let dword = SeccompCmpArgLen::Dword;
            rule.push(SeccompCondition::new(*argument, dword, compare.clone(), value)?);
            longer.push(rule);
        }
        rules = longer;
    }
    let rules = rules.into_iter().map(SeccompRule::new).collect::<std::result::Result<_, _>>()?;
    body(number, rules, verdict)
}

/// What seccompiler makes of the rules of one call, without what surrounds it: whoever matches no
/// rule falls out at the end.
fn body(number: u32, rules: Vec<SeccompRule>, verdict: Verdict) -> Result<BpfProgram> {
    let program = frame(number, rules)?;
    let compare = step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number)?;
    let mismatch = end(Verdict::Kill);
    let Some(([.., first], [body @ .., last, default])) = program.split_at_checked(PROLOGUE + 1)
    else {
        return Err("seccompiler returned a program without rules".into());
    };
    if *first != compare || *last != mismatch || *default != mismatch || body.contains(&mismatch) {
        return Err("seccompiler frames the rules of a call in another way than it did".into());
    }
    let allow = end(Verdict::Allow);
    let ended = |step: &sock_filter| if *step == allow { end(verdict) } else { step.clone() };
    Ok(body.iter().map(ended).collect())
}

fn frame(number: u32, rules: Vec<SeccompRule>) -> Result<BpfProgram> {
    let filter = SeccompFilter::new(
        BTreeMap::from([(i64::from(number), rules)]),
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        TargetArch::try_from(env::consts::ARCH)?,
    )?;
    Ok(filter.try_into()?)
}

fn end(verdict: Verdict) -> sock_filter {
    let value = match verdict {
        Verdict::Allow => libc::SECCOMP_RET_ALLOW,
        Verdict::Quiet(errno) => libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(),
        Verdict::Denial(_) | Verdict::Fatal => libc::SECCOMP_RET_USER_NOTIF,
        Verdict::Kill => libc::SECCOMP_RET_KILL_PROCESS,
    };
    // BPF_RET | BPF_K
    sock_filter { code: 6, jt: 0, jf: 0, k: value }
}

fn step(code: u32, jt: u8, jf: u8, k: u32) -> Result<sock_filter> {
    Ok(sock_filter { code: u16::try_from(code)?, jt, jf, k })
}

/// The errno of every call with a denial, and the arguments that tell its denials apart.
fn note_denials(rules: &BTreeMap<u32, Rule>, denied: &mut BTreeMap<u32, (i32, u8)>) -> Result<()> {
    for (number, rule) in rules {
        let (Rule::Always(verdict)
        | Rule::Judged(Condition { otherwise: verdict, .. })
        | Rule::Combined(Combination { otherwise: verdict, .. })) = rule;
        let errno = match *verdict {
            Verdict::Denial(errno) => errno,
            Verdict::Fatal => FATAL,
            _ => continue,
        };
        let told = TELLING
            .iter()
            .filter(|(calls, _)| calls.contains(&libc::c_long::from(*number)))
            .flat_map(|(_, arguments)| *arguments)
            .fold(0, |told, argument| told | 1 << argument);
        let judged = match rule {
            Rule::Always(_) => 0,
            Rule::Judged(condition) => 1 << condition.argument,
            Rule::Combined(combination) => {
                let tests = combination.cases.iter().flat_map(|(tests, _)| *tests);
                tests.fold(0, |judged, test| judged | 1 << test.argument)
            }
        };
        // The listener learns the call but not the verdict, so there is one errno per call.
        let (first, telling) = denied.entry(*number).or_insert((errno, 0));
        if *first != errno {
            return Err(format!("call {number} is denied with two errnos").into());
        }
        *telling |= told | judged;
    }
    Ok(())
}

fn write_program(text: &mut String, name: &str, program: &[sock_filter]) -> Result<()> {
    writeln!(text, "static {name}: [sock_filter; {}] = [", program.len())?;
    for sock_filter { code, jt, jf, k } in program {
        let (high, low) = (k >> 16, k & 0xffff);
        writeln!(
            text,
            "    sock_filter {{ code: {code}, jt: {jt}, jf: {jf}, k: 0x{high:04x}_{low:04x} }},"
        )?;
    }
    Ok(writeln!(text, "];")?)
}

fn write_denials(text: &mut String, denied: &BTreeMap<u32, (i32, u8)>) -> Result<()> {
    writeln!(text, "static DENIED: [Denied; {}] = [", denied.len())?;
    for (call, (errno, telling)) in denied {
        writeln!(text, "    Denied {{ call: {call}, errno: {errno}, telling: {telling} }},")?;
    }
    Ok(writeln!(text, "];")?)
}
