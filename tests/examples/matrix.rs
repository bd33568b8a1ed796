//! scratch
use belljar_protocol::Ending;
use belljar_protocol::Layer;
fn main() {
    let attacker = belljar_tests::built("belljar-attacker");
    let all =
        [Layer::Descriptors, Layer::Privileges, Layer::Rlimits, Layer::Landlock, Layer::Seccomp];
    let args: Vec<String> = std::env::args().skip(1).collect();
    let list = String::from_utf8(
        std::process::Command::new(&attacker).arg("list").output().unwrap().stdout,
    )
    .unwrap();
    for line in list.lines() {
        let id = line.split('\t').next().unwrap();
        if !args.is_empty() && !args.iter().any(|a| a == id) {
            continue;
        }
        let mut bits: Vec<usize> = vec![];
        let mut says = vec![];
        let mut masks: Vec<usize> = (0..32).collect();
        masks.sort_by_key(|m| m.count_ones());
        for m in masks {
            if bits.iter().any(|b| b & m == *b) {
                continue;
            }
            let walls: Vec<Layer> = (0..5).filter(|i| m & (1 << i) != 0).map(|i| all[i]).collect();
            let a = attacker.clone();
            let i = id.to_owned();
            let w = walls.clone();
            let r = std::thread::spawn(move || belljar_tests::run_without(&w, &a, &[&i])).join();
            match r {
                Ok(f) => {
                    if f.ending == Ending::Exited(66)
                        || f.output.lines().any(|l| l.starts_with("bit:"))
                    {
                        bits.push(m);
                        let t: String = f.output.chars().take(150).collect();
                        says.push(format!(
                            "{}: {}",
                            walls.iter().map(|w| w.name()).collect::<Vec<_>>().join("+"),
                            t.trim()
                        ));
                    } else if m == 0 || m == 31 {
                        let t: String = f.output.chars().take(300).collect();
                        says.push(format!("[{}] {:?} {}", m, f.ending, t.trim()));
                    }
                }
                Err(_) => says.push(format!("PANIC {m}")),
            }
        }
        println!("{id} {says:#?}");
    }
}
