use towline_sampler::{Branch, Control, Rate, Sampler};

use super::reader::Reader;

/// The sampler that [`OTEL_TRACES_SAMPLER`] names, with its argument as a rate per million.
///
/// [`OTEL_TRACES_SAMPLER`]: https://github.com/open-telemetry/opentelemetry-specification/blob/v1.60.0/specification/configuration/sdk-environment-variables.md#general-sdk-configuration
pub(super) fn sampler(read: &mut Reader<'_>) -> Option<Sampler> {
    let name = read.word(SAMPLER)?;
    let with_rate = |rate| Sampler::new(Control::new(rate));
    let sampler = match name.as_str() {
        "always_on" => whatever_the_parent(with_rate(Rate::ALWAYS), Branch::Record),
        "always_off" => whatever_the_parent(with_rate(Rate::NEVER), Branch::Drop),
        "traceidratio" => whatever_the_parent(with_rate(rate(read)), Branch::Rate),
        "parentbased_always_on" => with_rate(Rate::ALWAYS),
        "parentbased_always_off" => with_rate(Rate::NEVER),
        "parentbased_traceidratio" => with_rate(rate(read)),
        _ => {
            read.complain(format!(
                "{SAMPLER} is {name:?}: expected always_on, always_off, traceidratio, or one of them after parentbased_"
            ));
            return None;
        }
    };
    Some(sampler)
}

fn whatever_the_parent(sampler: Sampler, branch: Branch) -> Sampler {
    sampler
        .with_remote_parent_sampled(branch)
        .with_remote_parent_not_sampled(branch)
        .with_local_parent_sampled(branch)
        .with_local_parent_not_sampled(branch)
}

/// A ratio from 0 to 1, to the millionth. Without one, or with junk, it is 1, as the specification says.
fn rate(read: &mut Reader<'_>) -> Rate {
    let Some(text) = read.text(SAMPLER_ARG) else {
        return Rate::ALWAYS;
    };
    match text.trim().parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => {
            Rate::per_million((ratio * 1e6).round() as u32).unwrap_or(Rate::ALWAYS)
        }
        _ => {
            read.complain(format!(
                "{SAMPLER_ARG} is {text:?}: expected a number from 0 to 1"
            ));
            Rate::ALWAYS
        }
    }
}

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
    use towline_sampler::Predecision;

    use super::super::Environment;
    use super::*;

    fn read(name: &str, arg: &str) -> (Option<Sampler>, Vec<String>) {
        let environment = Environment::from_iter([(SAMPLER, name), (SAMPLER_ARG, arg)]);
        let mut reader = Reader::new(&environment);
        let sampler = sampler(&mut reader);
        (sampler, reader.into_complaints())
    }

    fn remote(flags: TraceFlags) -> SpanContext {
        // A trace id that no ratio below 1 samples.
        let id = TraceId::from(1 << 127);
        SpanContext::new(id, SpanId::from(1), flags, true, TraceState::NONE)
    }

    #[test]
    fn each_name_means_what_the_specification_says() {
        use Predecision::{No, Yes};
        for (name, arg, per_million, sampled_parent, unsampled_parent) in [
            ("always_on", "", 1_000_000, Yes, Yes),
            ("always_off", "", 0, No, No),
            ("traceidratio", "0.25", 250_000, No, No),
            ("traceidratio", "", 1_000_000, Yes, Yes),
            ("parentbased_always_on", "", 1_000_000, Yes, No),
            ("ParentBased_Always_Off", "", 0, Yes, No),
            ("parentbased_traceidratio", "0.0015", 1_500, Yes, No),
            ("parentbased_traceidratio", "1", 1_000_000, Yes, No),
        ] {
            let (sampler, complaints) = read(name, arg);
            let sampler = sampler.unwrap();
            assert!(complaints.is_empty(), "{complaints:?}");
            assert_eq!(
                sampler.control().rate().as_per_million(),
                per_million,
                "{name}"
            );
            let predecide = |flags| sampler.predecide(&remote(flags)).unwrap();
            assert_eq!(predecide(TraceFlags::SAMPLED), sampled_parent, "{name}");
            assert_eq!(
                predecide(TraceFlags::NOT_SAMPLED),
                unsampled_parent,
                "{name}"
            );
        }
    }

    #[test]
    fn junk_is_told_and_ignored() {
        let (sampler, complaints) = read("xray", "");
        assert!(sampler.is_none() && complaints[0].contains("\"xray\""));
        for arg in ["many", "-0.1", "1.1", "NaN"] {
            let (sampler, complaints) = read("traceidratio", arg);
            assert_eq!(sampler.unwrap().control().rate(), Rate::ALWAYS);
            assert!(complaints[0].contains("expected a number from 0 to 1"));
        }
    }
}
