//! A secret that is bound to a place is never in the jar, and arrives there.

use std::slice;
use std::sync::{Arc, Mutex};

use belljar::{Grant, Outcome, Source};
use belljar_tests::{Test, expect, sandbox, stdout, tests};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::clients::grants;
use crate::places::{Names, Server, read_head, says};
use crate::tls::acceptor;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        it_arrives_in_a_header_and_nowhere_else(Python),
        it_arrives_over_tls(Python),
        it_arrives_over_tls_from_node(Node),
        an_echo_does_not_bring_it_back(Python),
        it_does_not_go_to_another_place(Python),
        a_server_that_is_not_who_it_says_gets_nothing(Python),
        a_secret_needs_a_place_that_is_granted(Python),
    ]
}

const VALUE: &str = "real-value-7f3a91";

type Heads = Arc<Mutex<Vec<String>>>;

/// Tells back what it was asked, and notes it.
async fn tell(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    heads: Heads,
) -> std::io::Result<()> {
    let head = read_head(&mut stream).await?;
    stream.write_all(says(&head).as_bytes()).await?;
    heads.lock().expect("no panic").push(head);
    stream.shutdown().await
}

async fn plain() -> (Server, Heads) {
    let heads = Heads::default();
    let noted = Arc::clone(&heads);
    (Server::serving(move |stream| tell(stream, Arc::clone(&noted))).await, heads)
}

async fn sealed(name: &str, is_trusted: bool) -> (Server, Heads) {
    let (heads, acceptor) = (Heads::default(), acceptor(name, is_trusted));
    let noted = Arc::clone(&heads);
    let server = Server::serving(move |stream| {
        let (acceptor, noted) = (acceptor.clone(), Arc::clone(&noted));
        async move { tell(acceptor.accept(stream).await?, noted).await }
    });
    (server.await, heads)
}

async fn run_bound(runtime: &str, names: &Names, places: &[String], code: String) -> Outcome {
    let bound: Grant = places[0].parse().expect("a grant");
    let sandbox = sandbox(runtime).egress(names.egress()).build().expect("a sandbox");
    let source = Source::code(code).network(grants(places)).secret("TOKEN", VALUE);
    let source = source.expect("a secret").bind_secret("TOKEN", bound);
    sandbox.run(source).await.expect("an outcome")
}

fn heard(heads: &Heads) -> Vec<String> {
    heads.lock().expect("no panic").clone()
}

/// Sends the secret in a header, and in the path, where it must stay what it is inside.
fn sending(url: &str) -> String {
    format!(
        "import urllib.request\nfrom belljar import secrets\ntoken = secrets['TOKEN']\n\
         assert '{}' not in token\n\
         request = urllib.request.Request('{url}/' + token, headers={{'Authorization': 'Bearer ' + token}})\n\
         try:\n    answer = urllib.request.urlopen(request, timeout=10)\n    \
         body = answer.read().decode()\n    \
         print('Bearer ' + token in body, 'real' in body)\n\
         except OSError as error:\n    print(type(error).__name__)\n",
        &VALUE[..9]
    )
}

async fn it_arrives_in_a_header_and_nowhere_else() {
    let (names, (server, heads)) = (Names::here(&["api.test"]).await, plain().await);
    let place = format!("api.test:{}", server.port);
    let outcome =
        run_bound("python", &names, slice::from_ref(&place), sending(&format!("http://{place}")))
            .await;
    expect(&outcome, "ok");
    let heads = heard(&heads);
    assert_eq!(heads.len(), 1);
    assert!(
        heads[0].to_lowercase().contains(&format!("authorization: bearer {VALUE}")),
        "{heads:?}"
    );
    assert_eq!(heads[0].matches(VALUE).count(), 1, "{heads:?}");
}

async fn it_arrives_over_tls() {
    let (names, (server, heads)) =
        (Names::here(&["api.test"]).await, sealed("api.test", true).await);
    let place = format!("api.test:{}", server.port);
    let outcome =
        run_bound("python", &names, slice::from_ref(&place), sending(&format!("https://{place}")))
            .await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "True False\n");
    assert!(heard(&heads)[0].contains(VALUE));
}

async fn it_arrives_over_tls_from_node() {
    let (names, (server, heads)) =
        (Names::here(&["api.test"]).await, sealed("api.test", true).await);
    let place = format!("api.test:{}", server.port);
    let code = format!(
        "const token = belljar.secrets.TOKEN;\n\
         fetch('https://{place}/', {{headers: {{'X-Api-Key': token}}}}).then(r => r.text())\n\
         .then(t => console.log(t.includes(token), t.includes('real')))"
    );
    let outcome = run_bound("node", &names, &[place], code).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "true false\n");
    assert!(heard(&heads)[0].contains(VALUE));
}

async fn an_echo_does_not_bring_it_back() {
    let (names, (server, _)) = (Names::here(&["api.test"]).await, plain().await);
    let place = format!("api.test:{}", server.port);
    let outcome =
        run_bound("python", &names, slice::from_ref(&place), sending(&format!("http://{place}")))
            .await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "True False\n");
}

async fn it_does_not_go_to_another_place() {
    let names = Names::here(&["api.test", "other.test"]).await;
    let ((server, heads), (other, others)) = (plain().await, plain().await);
    let places = [format!("api.test:{}", server.port), format!("other.test:{}", other.port)];
    let code = sending(&format!("http://{}", places[1]));
    let outcome = run_bound("python", &names, &places, code).await;
    expect(&outcome, "ok");
    assert_eq!((heard(&heads).len(), heard(&others).len()), (0, 1));
    assert!(!heard(&others)[0].contains(VALUE), "{:?}", heard(&others));
}

async fn a_server_that_is_not_who_it_says_gets_nothing() {
    for (name, is_trusted) in [("api.test", false), ("other.test", true)] {
        let names = Names::here(&["api.test"]).await;
        let (server, heads) = sealed(name, is_trusted).await;
        let place = format!("api.test:{}", server.port);
        let code = sending(&format!("https://{place}"));
        let outcome = run_bound("python", &names, &[place], code).await;
        expect(&outcome, "ok");
        assert!(stdout(&outcome).contains("Error"), "{}", stdout(&outcome));
        assert!(heard(&heads).is_empty(), "{:?}", heard(&heads));
    }
}

async fn a_secret_needs_a_place_that_is_granted() {
    let names = Names::here(&["api.test"]).await;
    let sandbox = sandbox("python").egress(names.egress()).build().expect("a sandbox");
    let source = || Source::code("pass").network(grants(&["api.test:443".to_owned()]));
    let place = |text: &str| text.parse::<Grant>().expect("a grant");
    for source in [
        source().bind_secret("TOKEN", place("api.test:443")),
        source().secret("TOKEN", "x").expect("a secret").bind_secret("TOKEN", place("b.test:443")),
        source().secret("TOKEN", "x").expect("a secret").bind_secret("TOKEN", place("api.test:80")),
        Source::code("pass")
            .secret("TOKEN", "x")
            .expect("a secret")
            .bind_secret("TOKEN", place("api.test:443")),
    ] {
        let refusal = sandbox.run(source).await.expect_err("no such place, or no such secret");
        assert!(refusal.to_string().contains("secret"), "{refusal}");
    }
}
