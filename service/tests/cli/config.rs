//! What the operator decides, as it arrives.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::{belljar, is_refused, text};

/// How long a service takes to listen, on a host that does much else.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn it_is_told_where_a_value_comes_from() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, "[queue]\nqueued = 7\nrunning = 7\n").unwrap();
    let name = file.to_str().unwrap();
    let shown = belljar(&["config", "--json", "--set", "logs.level=warn"])
        .env("BELLJAR_CONFIG", name)
        .env("BELLJAR_QUEUE_RUNNING", "3")
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    for (key, value, origin) in [
        ("queue.queued", Value::from(7), format!("file {name}")),
        ("queue.running", Value::from(3), "environment BELLJAR_QUEUE_RUNNING".to_owned()),
        ("logs.level", Value::from("warn"), "option --set".to_owned()),
        ("service.socket_mode", Value::from("0600"), "default".to_owned()),
    ] {
        let place = format!("/values/{}", key.replace('.', "/"));
        assert_eq!(shown.pointer(&place), Some(&value), "{key}");
        assert_eq!(shown["origins"][key], Value::from(origin), "{key}");
    }
    fs::write(&file, "[queue]\nruning = 7\n").unwrap();
    for command in [&["config", "--file", name][..], &["serve", "--config", name]] {
        is_refused(&belljar(command).output().unwrap(), "did you mean `queue.running`?");
    }
}

#[test]
fn the_file_of_all_defaults_is_one_that_can_be_read() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.toml");
    let all = belljar(&["config", "--default"]).output().unwrap();
    fs::write(&file, &all.stdout).unwrap();
    let shown = belljar(&["config", "--file", file.to_str().unwrap()]).output().unwrap();
    assert!(shown.status.success(), "{shown:?}");
    let explained = belljar(&["config", "--explain"]).output().unwrap();
    for line in text(&shown.stdout).lines() {
        let key = line.split(' ').next().unwrap().rsplit('.').next().unwrap();
        assert!(text(&explained.stdout).contains(&format!("  {key}  ")), "{key}");
    }
}

#[test]
fn a_service_listens_to_options_before_the_environment_before_the_file() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (file, of_file, of_variable, of_option) =
        (path("config.toml"), path("file.sock"), path("variable.sock"), path("option.sock"));
    fs::write(&file, format!("[service]\nsocket = \"{of_file}\"\n")).unwrap();
    let all = [&of_file, &of_variable, &of_option];
    for (wanted, variable, option) in
        [(&of_file, false, false), (&of_variable, true, false), (&of_option, true, true)]
    {
        let mut command = belljar(&["serve", "--config", &file]);
        if variable {
            command.env("BELLJAR_SERVICE_SOCKET", &of_variable);
        }
        if option {
            command.args(["--socket", &of_option]);
        }
        let mut service = command.spawn().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && !all.iter().any(|path| Path::new(path).exists()) {
            thread::sleep(Duration::from_millis(5));
        }
        let found: Vec<_> = all.iter().filter(|path| Path::new(path).exists()).collect();
        let process = Pid::from_raw(service.id().try_into().unwrap());
        kill(process, Signal::SIGTERM).unwrap();
        service.wait().unwrap();
        assert_eq!(found, [&wanted]);
        for path in all {
            drop(fs::remove_file(path));
        }
    }
}
