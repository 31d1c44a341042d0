//! What the configuration says of the layers.

use opentelemetry_sdk::trace::SdkTracer;
use towline_http::{Filter, Trust, client, server};

use crate::config::Settings;

/// For every layer that a handle hands out.
#[derive(Clone, Debug)]
pub(crate) struct LayerOptions {
    settings: Settings,
}

/// Hands the lists that were said to the options of a layer, whichever layer it is.
macro_rules! listed {
    ($layer:ident, $settings:ident, { $($said:ident => $option:ident,)* }) => {
        $(if let Some(said) = &$settings.$said {
            $layer = $layer.$option(said.value.iter().cloned());
        })*
    };
}

// === impl LayerOptions ===

impl LayerOptions {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
        }
    }

    pub(crate) fn http_server(
        &self,
        mut layer: server::TraceLayer<SdkTracer>,
    ) -> server::TraceLayer<SdkTracer> {
        let settings = &self.settings;
        if let Some(trust) = self.trust() {
            layer = layer.with_trust(trust);
        }
        listed!(layer, settings, {
            capture_request_headers => with_request_headers,
            capture_response_headers => with_response_headers,
            redacted_query_keys => with_more_redacted_query_keys,
        });
        if let Some(name) = &settings.response_trace_id_header {
            layer = layer.with_response_trace_id(name.value.clone());
        }
        layer
    }

    pub(crate) fn http_client(
        &self,
        mut layer: client::TraceLayer<SdkTracer>,
    ) -> client::TraceLayer<SdkTracer> {
        let settings = &self.settings;
        listed!(layer, settings, {
            capture_request_headers => with_request_headers,
            capture_response_headers => with_response_headers,
            redacted_query_keys => with_more_redacted_query_keys,
        });
        layer
    }

    #[cfg(feature = "grpc-layers")]
    pub(crate) fn grpc_server(
        &self,
        mut layer: towline_grpc::server::TraceLayer<SdkTracer>,
    ) -> towline_grpc::server::TraceLayer<SdkTracer> {
        let settings = &self.settings;
        if let Some(trust) = self.trust() {
            layer = layer.with_trust(trust);
        }
        listed!(layer, settings, {
            capture_request_headers => with_request_metadata,
            capture_response_headers => with_response_metadata,
            redacted_query_keys => with_more_redacted_query_keys,
        });
        if let Some(name) = &settings.response_trace_id_header {
            layer = layer.with_response_trace_id(name.value.clone());
        }
        layer
    }

    #[cfg(feature = "grpc-layers")]
    pub(crate) fn grpc_client(
        &self,
        mut layer: towline_grpc::client::TraceLayer<SdkTracer>,
    ) -> towline_grpc::client::TraceLayer<SdkTracer> {
        let settings = &self.settings;
        listed!(layer, settings, {
            capture_request_headers => with_request_metadata,
            capture_response_headers => with_response_metadata,
            redacted_query_keys => with_more_redacted_query_keys,
        });
        layer
    }

    fn trust(&self) -> Option<Trust> {
        let said = self.settings.trust.as_ref();
        said.map(|said| Trust::from(said.value))
    }
}

/// The requests that get no span, if the configuration names some.
pub(crate) fn filters(settings: &Settings) -> Option<Vec<Filter>> {
    let said = settings.skip_paths.as_ref()?;
    let filters = said.value.iter().map(|path| match path.strip_suffix("/*") {
        Some(prefix) => Filter::path_prefix(prefix),
        None => Filter::path(path.as_str()),
    });
    Some(filters.collect())
}
