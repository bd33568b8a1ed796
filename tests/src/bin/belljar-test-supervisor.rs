//! A supervisor that tests kill: runs a bash script, and prints its first line of output.

#![expect(clippy::print_stdout, reason = "its whole purpose")]

use belljar::Chunk;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), belljar::Error> {
    let code = std::env::args().nth(1).unwrap_or_default();
    let sandbox = belljar_tests::sandbox("bash").build()?;
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
