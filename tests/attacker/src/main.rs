//! The attacks a jar must withstand, one per subcommand, as the payload would try them.
//!
//! `belljar-attacker list` prints the corpus: id, name, how a jar shows that it held, what is
//! tried, and the limits it is meant for. `belljar-attacker A01` tries one attack and says what
//! came of it: exit code 0 if it was refused, 66 if it succeeded, 67 if this host has nothing to
//! attack. An attack whose end is judged from outside just goes on, and exits 66 if nobody ends
//! it. Every attack may run in the open: what it obtains there it lets go, and it changes nothing.

mod connected;
mod exec;
mod files;
mod kernel;
mod limits;
mod memory;
mod network;
mod output;
mod processes;
mod scratch;
mod storage;
mod sys;
mod syscalls;
mod table;
mod tries;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use table::ATTACKS;
use tries::Finding;

const HELD: u8 = 0;
const USAGE: u8 = 64;
const BIT: u8 = 66;
const INCONCLUSIVE: u8 = 67;

fn main() -> ExitCode {
    let argument = env::args().nth(1).unwrap_or_default();
    match argument.as_str() {
        "list" => list(),
        exec::RAN => ExitCode::from(exec::RAN_CODE),
        exec::SUCCEEDS => ExitCode::SUCCESS,
        id => match ATTACKS.iter().find(|attack| attack.id == id) {
            Some(attack) => report(&(attack.run)()),
            None => match connected::ROWS.iter().find(|(row, ..)| *row == id) {
                Some((_, _, run)) => report(&run()),
                None => unknown(id),
            },
        },
    }
}

fn list() -> ExitCode {
    let mut output = io::stdout().lock();
    match ATTACKS.iter().try_for_each(|attack| writeln!(output, "{attack}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn report(finding: &Finding) -> ExitCode {
    processes::say(&format!("{finding}\n"));
    ExitCode::from(match finding {
        Finding::Held(_) => HELD,
        Finding::Bit(_) => BIT,
        Finding::Inconclusive(_) => INCONCLUSIVE,
    })
}

fn unknown(id: &str) -> ExitCode {
    let complaint = format!("belljar-attacker: no attack {id:?}; `list` names them all\n");
    tries::either_way(io::stderr().write_all(complaint.as_bytes()));
    ExitCode::from(USAGE)
}
