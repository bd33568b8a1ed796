//! A virtual environment works as it is, at the default limits.

use std::path::PathBuf;

use belljar::{Limits, Outcome, Sandbox, Source};
use belljar_tests::{Test, expect, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        numpy_multiplies_matrices(Venv),
        pandas_summarises_a_table(Venv),
        matplotlib_draws_a_picture(Venv),
        all_of_it_in_one_run(Venv),
        the_environment_cannot_be_written(Venv),
    ]
}

/// At the default limits: what people do with tables has to fit into them.
async fn in_venv(source: impl Into<Source>) -> Outcome {
    let venv = PathBuf::from(std::env::var_os("BELLJAR_TEST_VENV").unwrap());
    let sandbox =
        Sandbox::builder("python").program(venv).limits(Limits::strict()).build().unwrap();
    let outcome = sandbox.run(source).await.unwrap();
    expect(&outcome, "ok");
    outcome
}

async fn numpy_multiplies_matrices() {
    let code = "import numpy\n\
                a = numpy.random.default_rng(1).random((300, 300))\n\
                print(numpy.allclose(a @ numpy.linalg.inv(a), numpy.eye(300)))\n";
    assert_eq!(stdout(&in_venv(code).await), "True\n");
}

fn table() -> String {
    let rows = (0..5000).map(|n| format!("{},{},{}\n", n, ["a", "b", "c"][n % 3], n % 100));
    std::iter::once("id,kind,value\n".to_owned()).chain(rows).collect()
}

async fn pandas_summarises_a_table() {
    let code = "import pandas\n\
                table = pandas.read_csv('table.csv')\n\
                print(table.groupby('kind')['value'].agg(['count', 'sum']).to_csv())\n";
    let outcome = in_venv(Source::code(code).file("table.csv", table())).await;
    assert_eq!(stdout(&outcome), "kind,count,sum\na,1667,82533\nb,1667,82500\nc,1666,82467\n\n");
}

async fn matplotlib_draws_a_picture() {
    let code = "import matplotlib.pyplot as plt\n\
                plt.plot([1, 4, 9])\n\
                plt.title('Größe')\n\
                plt.savefig('plot.png')\n";
    let outcome = in_venv(Source::code(code).collect("*.png")).await;
    assert_eq!(outcome.artifacts.len(), 1, "{:?}", outcome.artifact_errors);
    let picture = &outcome.artifacts[0];
    assert_eq!(picture.media_type, "image/png");
    assert!(picture.bytes.starts_with(b"\x89PNG") && picture.bytes.len() > 5000);
}

async fn all_of_it_in_one_run() {
    let code = "import matplotlib.pyplot as plt, numpy, pandas\n\
                table = pandas.read_csv('table.csv')\n\
                table.groupby('kind')['value'].mean().plot.bar()\n\
                plt.savefig('out.png', dpi=150)\n\
                table.describe().to_csv('out.csv')\n\
                print(round(numpy.mean(table['value']), 2))\n";
    let source = Source::code(code).file("table.csv", table()).collect("out.*");
    let outcome = in_venv(source).await;
    assert_eq!(stdout(&outcome), "49.5\n");
    assert_eq!(outcome.artifacts.len(), 2, "{:?}", outcome.artifact_errors);
    assert!(outcome.denials.is_empty(), "{:?}", outcome.denials);
}

async fn the_environment_cannot_be_written() {
    let code = "import numpy, os\n\
                place = os.path.dirname(numpy.__file__)\n\
                for path in (place + '/x.py', numpy.__file__):\n    \
                    try: open(path, 'a'); print('written', path)\n    \
                    except OSError: pass\n";
    assert_eq!(stdout(&in_venv(code).await), "");
}
