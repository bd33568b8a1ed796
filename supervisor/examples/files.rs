//! Files in, artifacts out, a secret and limits: `cargo run -p belljar --example files`.

use std::time::Duration;

use belljar::{Error, Limits, Sandbox, Source};

const CODE: &str = "
import belljar
rows = open('sales.csv').read().split()
with open('total.txt', 'w') as out:
    print(sum(int(row.split(',')[1]) for row in rows), file=out)
print('signed with', belljar.secrets['SIGNING_KEY'])
";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let limits =
        Limits { wall: Duration::from_secs(5), memory_bytes: 64 << 20, ..Limits::strict() };
    let sandbox = Sandbox::builder("python").limits(limits).build()?;
    let source = Source::code(CODE)
        .file("sales.csv", "apples,3\npears,4\n")
        .secret("SIGNING_KEY", "correct horse")?
        .collect("*.txt");
    let outcome = sandbox.run(source).await?;
    assert_eq!(outcome.artifacts.first().map(|total| total.bytes.as_slice()), Some(&b"7\n"[..]));
    assert_eq!(outcome.stdout.bytes, b"signed with [redacted:SIGNING_KEY]\n");
    Ok(())
}
