use belljar::{Sandbox, Source};
#[tokio::main]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let t = std::time::Instant::now();
    let sandbox = Sandbox::builder(a[1].as_str()).worker("/tmp/t-me/debug/belljar-worker").build().unwrap();
    println!("build {:?}", t.elapsed());
    for _ in 0..a.get(3).and_then(|n| n.parse().ok()).unwrap_or(1) {
    let t = std::time::Instant::now();
    let src = if a[1]=="native" { Source::program(&a[2]) } else { Source::code(a[2].clone()) };
    match sandbox.run(src.secret("KEY","hunter22").unwrap()).await {
        Ok(o) => { println!("{:?}\n--out\n{}--err\n{}", o.verdict, String::from_utf8_lossy(&o.stdout.bytes), String::from_utf8_lossy(&o.stderr.bytes)); println!("{:?} {:?} {:?} {:?}", o.usage, o.timings, o.denials, o.receipt);},
        Err(e) => println!("ERR {e} {e:?}"),
    }
    println!("total {:?}", t.elapsed());
    }
}
