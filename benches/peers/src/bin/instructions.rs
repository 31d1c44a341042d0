//! How many instructions a request takes in each layer, over the bare service, counted by callgrind.
//!
//! They repeat where nanoseconds do not. With `--profile DIRECTORY` callgrind's files are kept, for `callgrind_annotate`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use towline_peers::path::{GRPC_PATHS, PATHS, Path, Protocol};
use towline_peers::peers::{Bench, OURS, OURS_ON_SDK, PLAIN};
use towline_peers::table::Table;

/// Requests that are counted together.
const REQUESTS: usize = 64;

/// What is counted: ours, what it is held against, and what is taken off.
const SUBJECTS: [&str; 4] = ["bare", PLAIN, OURS, OURS_ON_SDK];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["--path", id, "--subject", name] => run(id, name),
        ["--profile", directory] => table(Some(PathBuf::from(directory))),
        [] => table(None),
        _ => panic!("expected nothing, or --profile DIRECTORY"),
    }
}

/// Under callgrind: what is counted is `run_measured`.
fn run(id: &str, name: &str) {
    let path = Path::by_id(id);
    let mut bench = Bench::new(path);
    bench.check();
    let subject = bench
        .subjects
        .iter_mut()
        .find(|subject| subject.name == name);
    let subject = subject.unwrap_or_else(|| panic!("there is no layer {name:?}"));
    for _ in 0..4 {
        subject.driver.prepare(REQUESTS);
        subject.driver.run();
    }
    subject.driver.prepare(REQUESTS);
    subject.driver.run_measured();
}

fn table(profiles: Option<PathBuf>) {
    if Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("There is no `valgrind` here: nothing was counted.\n");
        return;
    }
    let mut table = Table::new([
        "path",
        "towline",
        "of `h`",
        "on the SDK's tracer",
        "of `h`",
        "h",
        "bare service",
    ]);
    for path in PATHS
        .iter()
        .chain(GRPC_PATHS)
        .filter(|path| !path.is_exported)
    {
        let [bare, plain, ours, on_sdk] = SUBJECTS.map(|name| count(path, name, profiles.as_ref()));
        let (plain, ours, on_sdk) = (plain - bare, ours - bare, on_sdk - bare);
        table.push([
            match path.protocol {
                Protocol::Http => path.title.to_owned(),
                _ => format!("gRPC: {}", path.title),
            },
            format!("{ours:.0}"),
            format!("{:.2}", ours / plain),
            format!("{on_sdk:.0}"),
            format!("{:.2}", on_sdk / plain),
            format!("{plain:.0}"),
            format!("{bare:.0}"),
        ]);
    }
    table.print();
}

/// Instructions of one request.
fn count(path: &Path, name: &str, profiles: Option<&PathBuf>) -> f64 {
    let file = profiles.map_or_else(std::env::temp_dir, Clone::clone);
    let file = file.join(format!(
        "callgrind.{}.{}.{}",
        path.id,
        name.replace([' ', '\''], "-"),
        std::process::id()
    ));
    let program = std::env::current_exe().expect("this program is somewhere");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg("--toggle-collect=*measured_exchanges*")
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .args(["--path", path.id, "--subject", name])
        .output()
        .expect("valgrind starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "valgrind: {said}");
    let found = std::fs::read_to_string(&file).expect("callgrind has written what it counted");
    if profiles.is_none() {
        let _ = std::fs::remove_file(&file);
    }
    let summary = found
        .lines()
        .find_map(|line| line.strip_prefix("summary: "));
    let total: f64 = summary
        .and_then(|total| total.trim().parse().ok())
        .expect("a sum");
    assert!(
        total > 0.0,
        "nothing was counted of {name} on {}: {said}",
        path.id
    );
    total / REQUESTS as f64
}
