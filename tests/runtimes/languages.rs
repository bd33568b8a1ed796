//! The same small programs in every language.

use belljar_tests::Need;

/// What a language is shown to do, each as the text of a program.
pub(crate) struct Language {
    pub(crate) runtime: &'static str,
    pub(crate) needs: &'static [Need],
    /// The name that a snippet gets.
    pub(crate) entry: &'static str,
    /// Prints 42.
    pub(crate) snippet: &'static str,
    /// A file and its contents, and one that uses it to print 42.
    pub(crate) library: (&'static str, &'static str),
    pub(crate) user: (&'static str, &'static str),
    /// Copies standard input to standard output.
    pub(crate) copies: &'static str,
    /// Prints its arguments with bars between them.
    pub(crate) arguments: &'static str,
    /// Exits with code 3.
    pub(crate) exits: &'static str,
    /// Prints [`LETTERS`].
    pub(crate) letters: &'static str,
    /// Writes every byte once.
    pub(crate) bytes: &'static str,
    /// Prints the secret `API_KEY` backwards.
    pub(crate) secret: &'static str,
    /// Fails at its third line, and what it says then.
    pub(crate) fails: (&'static str, &'static str),
}

pub(crate) const LETTERS: &str = "grüße 世界 🫙";

pub(crate) const ALL: [&Language; 9] = [&PYTHON, &NODE, &JS, &BASH, &SH, &RUBY, &PERL, &LUA, &PHP];

const PYTHON: Language = Language {
    runtime: "python",
    needs: &[Need::Python],
    entry: "main.py",
    snippet: "print(6 * 7)",
    library: ("lib/answers.py", "def answer(): return 42\n"),
    user: ("app.py", "from lib.answers import answer\nprint(answer())\n"),
    copies: "import sys\nsys.stdout.write(sys.stdin.read())",
    arguments: "import sys\nprint('|'.join(sys.argv[1:]))",
    exits: "import sys\nsys.exit(3)",
    letters: "print('grüße 世界 🫙')",
    bytes: "import sys\nsys.stdout.buffer.write(bytes(range(256)))",
    secret: "import belljar\nprint(belljar.secrets['API_KEY'][::-1])",
    fails: ("x = 1\ny = 2\nraise ValueError('no')\n", "File \"/work/main.py\", line 3"),
};

const NODE: Language = Language {
    runtime: "node",
    needs: &[Need::Node],
    entry: "main.js",
    snippet: "console.log(6 * 7)",
    library: ("lib/answers.js", "exports.answer = () => 42;\n"),
    user: ("app.js", "console.log(require('./lib/answers').answer());\n"),
    copies: "process.stdin.pipe(process.stdout)",
    arguments: "console.log(process.argv.slice(2).join('|'))",
    exits: "process.exit(3)",
    letters: "console.log('grüße 世界 🫙')",
    bytes: "process.stdout.write(Buffer.from([...Array(256).keys()]))",
    secret: "console.log([...belljar.secrets.API_KEY].reverse().join(''))",
    fails: ("const x = 1;\n\nthrow new Error('no');\n", "/work/main.js:3"),
};

const JS: Language = Language {
    runtime: "js",
    needs: &[],
    entry: "main.js",
    snippet: "console.log(6 * 7)",
    library: ("lib/answers.js", "export const answer = () => 42;\n"),
    user: ("app.js", "import { answer } from './lib/answers.js';\nconsole.log(answer());\n"),
    copies: "belljar.stdout.write(belljar.stdin.bytes())",
    arguments: "print(belljar.args.join('|'))",
    exits: "belljar.exit(3)",
    letters: "console.log('grüße 世界 🫙')",
    bytes: "belljar.stdout.write(new Uint8Array([...Array(256).keys()]))",
    secret: "print([...belljar.secrets.API_KEY].reverse().join(''))",
    fails: ("const x = 1;\n\nthrow new Error('no');\n", "main.js:3"),
};

const BASH: Language = Language {
    runtime: "bash",
    needs: &[Need::Bash],
    entry: "main.sh",
    fails: ("x=1\ny=2\nnosuchcommand || exit 1\n", "main.sh: line 3:"),
    ..SH
};

const SH: Language = Language {
    runtime: "sh",
    needs: &[],
    entry: "main.sh",
    snippet: "echo $((6 * 7))",
    library: ("lib/answers.sh", "answer() { echo 42; }\n"),
    user: ("app.sh", ". ./lib/answers.sh\nanswer\n"),
    copies: "cat",
    arguments: "IFS='|'; echo \"$*\"",
    exits: "exit 3",
    letters: "echo 'grüße 世界 🫙'",
    bytes: "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i + 1)); done",
    secret: "rev /run/secrets/API_KEY; echo",
    fails: ("x=1\ny=2\nnosuchcommand || exit 1\n", "main.sh: 3:"),
};

const RUBY: Language = Language {
    runtime: "ruby",
    needs: &[Need::Ruby],
    entry: "main.rb",
    snippet: "puts 6 * 7",
    library: ("lib/answers.rb", "def answer = 42\n"),
    user: ("app.rb", "require_relative 'lib/answers'\nputs answer\n"),
    copies: "$stdout.write $stdin.read",
    arguments: "puts ARGV.join('|')",
    exits: "exit 3",
    letters: "puts 'grüße 世界 🫙'",
    bytes: "$stdout.binmode\n$stdout.write((0..255).to_a.pack('C*'))",
    secret: "puts File.read('/run/secrets/API_KEY').reverse",
    fails: ("x = 1\ny = 2\nraise 'no'\n", "/work/main.rb:3"),
};

const PERL: Language = Language {
    runtime: "perl",
    needs: &[Need::Perl],
    entry: "main.pl",
    snippet: "print 6 * 7, \"\\n\";",
    library: ("lib/answers.pl", "sub answer { 42 } 1;\n"),
    user: ("app.pl", "require './lib/answers.pl'; print answer(), \"\\n\";\n"),
    copies: "print while <STDIN>;",
    arguments: "print join('|', @ARGV), \"\\n\";",
    exits: "exit 3;",
    letters: "print \"grüße 世界 🫙\\n\";",
    bytes: "binmode STDOUT; print map { chr } 0..255;",
    secret: "open my $f, '<', '/run/secrets/API_KEY'; print scalar reverse(scalar <$f>), \"\\n\";",
    fails: ("my $x = 1;\nmy $y = 2;\ndie 'no';\n", "/work/main.pl line 3"),
};

const LUA: Language = Language {
    runtime: "lua",
    needs: &[Need::Lua],
    entry: "main.lua",
    snippet: "print(6 * 7)",
    library: ("lib/answers.lua", "return { answer = function() return 42 end }\n"),
    user: ("app.lua", "print(require('lib.answers').answer())\n"),
    copies: "io.write(io.read('*a'))",
    arguments: "print(table.concat(arg, '|'))",
    exits: "os.exit(3)",
    letters: "print('grüße 世界 🫙')",
    bytes: "for i = 0, 255 do io.write(string.char(i)) end",
    secret: "print(io.open('/run/secrets/API_KEY'):read('*a'):reverse())",
    fails: ("local x = 1\nlocal y = 2\nerror('no')\n", "main.lua:3:"),
};

const PHP: Language = Language {
    runtime: "php",
    needs: &[Need::Php],
    entry: "main.php",
    snippet: "<?php echo 6 * 7, \"\\n\";",
    library: ("lib/answers.php", "<?php function answer() { return 42; }\n"),
    user: ("app.php", "<?php require 'lib/answers.php'; echo answer(), \"\\n\";\n"),
    copies: "<?php echo stream_get_contents(STDIN);",
    arguments: "<?php echo implode('|', array_slice($argv, 1)), \"\\n\";",
    exits: "<?php exit(3);",
    letters: "<?php echo 'grüße 世界 🫙', \"\\n\";",
    bytes: "<?php for ($i = 0; $i < 256; $i++) echo chr($i);",
    secret: "<?php echo strrev(file_get_contents('/run/secrets/API_KEY')), \"\\n\";",
    fails: ("<?php\n$x = 1;\nthrow new Exception('no');\n", "/work/main.php:3"),
};
