//! A supervisor that tests kill: runs a bash script, warm if told so, and prints its first line of
//! output.

#![expect(clippy::print_stdout, reason = "its whole purpose")]

use belljar::{Chunk, Warm};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), belljar::Error> {
    let code = std::env::args().nth(1).unwrap_or_default();
    let is_warm = std::env::args().nth(2).is_some_and(|word| word == "warm");
    let sandbox = belljar_tests::sandbox("bash");
    let sandbox = if is_warm { sandbox.warm(Warm::default()) } else { sandbox }.build()?;
    if is_warm {
        sandbox.warm_up().await?;
    }
    let mut run = sandbox.start(code).await?;
    let mut said = Vec::new();
    while !said.contains(&b'\n') {
        match run.output().await {
            Some(Chunk::Stdout(bytes)) => said.extend(bytes),
            Some(_) => {}
            None => break,
        }
    }
    println!("{}", String::from_utf8_lossy(&said).trim_end());
    run.wait().await.map(drop)
}
