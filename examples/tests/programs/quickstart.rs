use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quickstart"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn every_trace_is_printed_as_a_tree_and_over_time() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["--dir", dir.path().to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for line in [
        "  proxy: GET  server 200",
        "  └─ proxy: GET  client 200",
        "     └─ users: GET /users/{id}  server 200",
        "        ├─ users: cache/Get",
        "        ├─ users: backend/Get  client",
        "        └─ users: hello.Greeter/SayHello  client OK",
        "           └─ greeter: hello.Greeter/SayHello  server OK",
        "     └─ users: GET /broken  server 500  error",
        "  trace 0af7651916cd43dd8448eb211c80319c",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert_eq!(text.matches("> time,").count(), 4, "{text}");
    assert!(text.contains("20 spans in "), "{text}");
}

#[test]
fn a_second_run_into_the_same_folder_counts_only_its_own_spans() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    assert!(run(&["--dir", dir]).status.success());
    assert!(run(&["--dir", dir]).status.success());
}

#[test]
fn taking_any_one_layer_away_is_noticed() {
    for layer in [
        "proxy-server",
        "proxy-client",
        "app-server",
        "cache",
        "backend",
        "greeter-client",
        "greeter-server",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let output = run(&["--dir", dir.path().to_str().unwrap(), "--without", layer]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{layer}: {text}");
        assert!(text.contains("not as expected"), "{layer}: {text}");
    }
}
