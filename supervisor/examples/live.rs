//! Output as it comes, and an end before the end: `cargo run -p belljar --example live`.

use belljar::{Chunk, Error, Sandbox, Verdict};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let sandbox = Sandbox::builder("bash").build()?;
    let mut run = sandbox.start("for i in 1 2 3; do echo $i; done; sleep 1000").await?;
    let mut seen = Vec::new();
    while let Some(chunk) = run.output().await {
        if let Chunk::Stdout(bytes) = chunk {
            seen.extend(bytes);
        }
        if seen.ends_with(b"3\n") {
            break;
        }
    }
    let outcome = run.kill().await?;
    assert_eq!(outcome.verdict, Verdict::Cancelled);
    assert_eq!(outcome.stdout.bytes, b"1\n2\n3\n");
    Ok(())
}
