//! The shortest use: `cargo run --example hello`.

use belljar::Sandbox;

#[tokio::main]
async fn main() -> Result<(), belljar::Error> {
    let sandbox = Sandbox::builder("python").build()?;
    let outcome = sandbox.run("print(6 * 7)").await?;
    assert_eq!(outcome.stdout.bytes, b"42\n");
    Ok(())
}
