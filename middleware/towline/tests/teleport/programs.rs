//! The tracing configuration of Kubernetes, etcd and CRI-O.

use serde::Deserialize;
use towline::{ConfigError, Rate};

use super::*;

fn kubernetes(version: &str, keys: &str) -> Result<Config, ConfigError> {
    Config::from_yaml(&format!(
        "apiVersion: apiserver.config.k8s.io/{version}\nkind: TracingConfiguration\n{keys}"
    ))
}

fn endpoint(config: &Config) -> String {
    config.endpoint().unwrap().to_string()
}

/// Kubernetes and here: unset is `localhost:4317`; without `//` it is an address; `dns`, `unix` and `unix-abstract` are
/// the schemes. An address without a port is port 4317 here, and 443 there.
#[test]
fn kubernetes_endpoint() {
    for version in ["v1", "v1beta1", "v1alpha1"] {
        let config = kubernetes(version, "").unwrap();
        assert_eq!(config.enabled(), Some(true));
        assert_eq!(endpoint(&config), "grpc://localhost:4317");
    }
    for (given, expected) in [
        ("collector:4317", "grpc://collector:4317"),
        ("collector", "grpc://collector:4317"),
        ("dns:///collector:4317", "grpc://collector:4317"),
        ("dns://collector:4317", "grpc://collector:4317"),
        ("unix:///run/otel.sock", "unix:///run/otel.sock"),
        ("unix-abstract:otel", "unix-abstract:otel"),
    ] {
        let config = kubernetes("v1", &format!("endpoint: {given}")).unwrap();
        assert_eq!(endpoint(&config), expected, "{given}");
    }
    for given in [
        "http://localhost:4317",
        "https://c",
        "grpc://c:4317",
        "file:///a",
        "dns://8.8.8.8/c:4317",
    ] {
        let error = kubernetes("v1", &format!("endpoint: {given}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("`endpoint` is \""), "{given}: {error}");
    }
}

/// Kubernetes and here: from 0 to a million; unset is what a sampled caller asks for.
#[test]
fn kubernetes_sampling_rate_per_million() {
    assert_eq!(
        kubernetes("v1", "").unwrap().sampling_rate(),
        Some(Rate::NEVER)
    );
    let config = kubernetes("v1", "samplingRatePerMillion: 1000000").unwrap();
    assert_eq!(config.sampling_rate(), Some(Rate::ALWAYS));
    for value in ["-1", "1000001", "0.5"] {
        let error = kubernetes("v1", &format!("samplingRatePerMillion: {value}")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("expected a whole number from 0 (none) to 1000000 (all)")
        );
    }
}

/// Kubernetes and here: no configuration is no tracing, and contexts are passed on (`provider::propagators`).
#[test]
fn kubernetes_nil_config() {
    #[derive(Deserialize)]
    struct Kubelet {
        #[serde(default, deserialize_with = "Config::deserialize_kubernetes")]
        tracing: Config,
    }
    let kubelet: Kubelet = serde_json::from_str("{}").unwrap();
    assert!(
        !builder()
            .with_config(kubelet.tracing)
            .build()
            .unwrap()
            .is_enabled()
    );
}

/// Kubernetes and here: the file must be there and is read strictly; what is wrong is an error at the start.
#[test]
fn kube_apiserver_tracing_config_file() {
    assert!(Towline::from_file("/nowhere/tracing.yaml").is_err());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tracing.yaml");
    let text = "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: TracingConfiguration\n\
                endpoint: collector:4317\nsamplingRatePerMillion: 100\n";
    std::fs::write(&path, text).unwrap();
    let tracing = builder().with_config_file(&path);
    assert_eq!(exporter_of(tracing), "grpc://collector:4317");
    std::fs::write(&path, format!("{text}sampling: 5\n")).unwrap();
    let error = Towline::from_file(&path).unwrap_err().to_string();
    assert!(
        error.contains(":5:1: unknown key `sampling`: did you mean `samplingRatePerMillion`?"),
        "{error}"
    );
    let without = "kind: TracingConfiguration\nendpoint: c";
    let error = Config::from_yaml(without).unwrap_err().to_string();
    assert!(error.contains("`apiVersion` is not given"), "{error}");
}

/// kubelet and here: the stanza `tracing` of its configuration; it being there is on, also when it is empty.
#[test]
fn kubelet_tracing() {
    let kubelet = |tracing: &str| {
        Config::from_yaml(&format!(
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nport: 10250\n{tracing}"
        ))
    };
    assert_eq!(kubelet("").unwrap().enabled(), None);
    let config = kubelet("tracing: {}").unwrap();
    assert_eq!(
        (config.enabled(), endpoint(&config)),
        (Some(true), "grpc://localhost:4317".to_owned())
    );
    let config = kubelet("tracing: { endpoint: 'c:1', samplingRatePerMillion: 5 }").unwrap();
    assert_eq!(endpoint(&config), "grpc://c:1");
    assert_eq!(config.sampling_rate().unwrap().as_per_million(), 5);
    assert!(kubelet("tracing: { enabled: yes }").is_err());
    // In a file of another kind its keys say whose it is.
    let config = Config::from_yaml("tracing: { samplingRatePerMillion: 5 }").unwrap();
    assert_eq!(endpoint(&config), "grpc://localhost:4317");
    let error = Config::from_yaml("tracing: { enabled: yes, endpoint: c }").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unknown key `endpoint`: did you mean `exporter_url`?")
    );
    assert_eq!(Config::from_yaml("tracing: {}").unwrap().enabled(), None);
}

/// kubelet, apiserver: names of their own. Here: what the program says.
#[test]
fn kubernetes_resource() {
    let config = kubernetes("v1", "").unwrap();
    assert_eq!(config.service_name(), None);
    let tracing = builder()
        .with_config(config)
        .with_service_name("kubelet")
        .build();
    assert!(tracing.unwrap().is_enabled());
}

fn etcd(arguments: &[&str]) -> Result<Config, ConfigError> {
    Config::from_etcd_flags(arguments, &Environment::empty())
}

/// etcd and here: false. Here a switch may also be a variable, as with every flag of etcd's.
#[test]
fn etcd_enable_distributed_tracing() {
    assert_eq!(etcd(&["--name=a"]).unwrap().enabled(), Some(false));
    for argument in [
        "--enable-distributed-tracing",
        "-enable-distributed-tracing",
        "--enable-distributed-tracing=true",
        "--enable-distributed-tracing=1",
    ] {
        assert_eq!(
            etcd(&[argument]).unwrap().enabled(),
            Some(true),
            "{argument}"
        );
    }
    let off = etcd(&[
        "--enable-distributed-tracing",
        "--enable-distributed-tracing=false",
    ]);
    assert_eq!(off.unwrap().enabled(), Some(false), "the last one counts");
    assert_eq!(
        etcd(&["--", "--enable-distributed-tracing"])
            .unwrap()
            .enabled(),
        Some(false)
    );
    let error = etcd(&["--enable-distributed-tracing=yes"])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "--enable-distributed-tracing is \"yes\": expected true or false"
    );
    let environment = Environment::from_iter([("ETCD_ENABLE_DISTRIBUTED_TRACING", "true")]);
    let config = Config::from_etcd_flags(["--name=a"], &environment).unwrap();
    assert_eq!(config.enabled(), Some(true));
    let config = Config::from_etcd_flags(["--enable-distributed-tracing=false"], &environment);
    assert_eq!(config.unwrap().enabled(), Some(false));
}

/// etcd: `localhost:4317`, not checked. Here: the same, and checked.
#[test]
fn etcd_distributed_tracing_address() {
    assert_eq!(endpoint(&etcd(&[]).unwrap()), "grpc://localhost:4317");
    for arguments in [
        &["--distributed-tracing-address=c:1"][..],
        &["--distributed-tracing-address", "c:1"],
    ] {
        assert_eq!(endpoint(&etcd(arguments).unwrap()), "grpc://c:1");
    }
    let error = etcd(&["--distributed-tracing-address", "tcp://c"])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("--distributed-tracing-address: exporter url"),
        "{error}"
    );
    let error = etcd(&["--distributed-tracing-address"])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "--distributed-tracing-address stands last: expected its value after it"
    );
}

/// etcd and here: `etcd`.
#[test]
fn etcd_distributed_tracing_service_name() {
    assert_eq!(etcd(&[]).unwrap().service_name(), Some("etcd"));
    let config = etcd(&["--distributed-tracing-service-name=a"]).unwrap();
    assert_eq!(config.service_name(), Some("a"));
}

/// etcd and here: not set unless it is said.
#[test]
fn etcd_distributed_tracing_instance_id() {
    for none in [&[][..], &["--distributed-tracing-instance-id="]] {
        assert!(etcd(none).unwrap().resource_attributes().is_empty());
    }
    let config = etcd(&["--distributed-tracing-instance-id=m1"]).unwrap();
    let attribute = &config.resource_attributes()[0];
    assert_eq!(
        (attribute.key.as_str(), attribute.value.as_str().as_ref()),
        ("service.instance.id", "m1")
    );
}

/// etcd: 0; out of range is an error if it is enabled. Here: out of range is an error in any case.
#[test]
fn etcd_distributed_tracing_sampling_rate() {
    assert_eq!(etcd(&[]).unwrap().sampling_rate(), Some(Rate::NEVER));
    let config = etcd(&["--distributed-tracing-sampling-rate=1000000"]).unwrap();
    assert_eq!(config.sampling_rate(), Some(Rate::ALWAYS));
    for (value, shown) in [("-1", "-1"), ("1000001", "1000001"), ("all", "\"all\"")] {
        let error = etcd(&[&format!("--distributed-tracing-sampling-rate={value}")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "--distributed-tracing-sampling-rate is {shown}: expected a whole number from 0 (none) to 1000000 (all)"
            )
        );
    }
}

/// CRI-O and here: false, `127.0.0.1:4317`, 0; by flag over variable. CRI-O checks neither address nor rate; they are
/// checked here, and everything that is wrong is told at once.
#[test]
fn crio_by_flags_and_variables() {
    let crio = |arguments: &[&str], variables: &[(&str, &str)]| {
        Config::from_crio_flags(arguments, &variables.iter().copied().collect())
    };
    let config = crio(&[], &[]).unwrap();
    assert_eq!(config.enabled(), Some(false));
    assert_eq!(endpoint(&config), "grpc://127.0.0.1:4317");
    assert_eq!(config.sampling_rate(), Some(Rate::NEVER));
    assert_eq!(config.service_name(), None);
    let variables = [
        ("CONTAINER_ENABLE_TRACING", "true"),
        ("CONTAINER_TRACING_ENDPOINT", "env:1"),
        ("CONTAINER_TRACING_SAMPLING_RATE_PER_MILLION", "5"),
    ];
    let config = crio(&[], &variables).unwrap();
    assert_eq!(
        (config.enabled(), endpoint(&config)),
        (Some(true), "grpc://env:1".to_owned())
    );
    assert_eq!(config.sampling_rate().unwrap().as_per_million(), 5);
    let flags = [
        "--enable-tracing=false",
        "--tracing-endpoint=flag:1",
        "--tracing-sampling-rate-per-million",
        "7",
    ];
    let config = crio(&flags, &variables).unwrap();
    assert_eq!(
        (config.enabled(), endpoint(&config)),
        (Some(false), "grpc://flag:1".to_owned())
    );
    assert_eq!(config.sampling_rate().unwrap().as_per_million(), 7);

    let error = crio(
        &["--tracing-endpoint=tcp://c"],
        &[("CONTAINER_TRACING_SAMPLING_RATE_PER_MILLION", "1000001")],
    );
    let error = error.unwrap_err();
    let keys: Vec<_> = error
        .problems()
        .iter()
        .filter_map(|problem| problem.key())
        .collect();
    assert_eq!(
        keys,
        [
            "--tracing-endpoint",
            "CONTAINER_TRACING_SAMPLING_RATE_PER_MILLION"
        ]
    );
}

/// CRI-O and here: the table `crio.tracing` of its TOML file, in any format that serde knows.
#[test]
fn crio_by_table() {
    #[derive(Deserialize)]
    struct Crio {
        #[serde(deserialize_with = "Config::deserialize_crio")]
        tracing: Config,
    }
    let crio = |text: &str| serde_json::from_str::<Crio>(text);
    let config = crio(
        r#"{ "tracing": { "enable_tracing": true, "tracing_sampling_rate_per_million": 5 } }"#,
    )
    .unwrap()
    .tracing;
    assert_eq!(
        (config.enabled(), endpoint(&config)),
        (Some(true), "grpc://127.0.0.1:4317".to_owned())
    );
    assert_eq!(config.sampling_rate().unwrap().as_per_million(), 5);
    let error = crio(r#"{ "tracing": { "enable-tracing": true } }"#)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("unknown key `enable-tracing`: did you mean `enable_tracing`?"),
        "{error}"
    );
}
