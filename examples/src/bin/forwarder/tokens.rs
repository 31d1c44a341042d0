//! The file of bearer tokens.

use std::path::Path;

use towline_forwarder::{BearerTokens, Identity, IdentityError};

/// Reads lines of `TOKEN NAME [ROLE ...]`.
///
/// What is wrong is told by its line. A token is never shown.
pub(crate) fn read(text: &str, path: &Path) -> Result<BearerTokens, Vec<String>> {
    let mut tokens = BearerTokens::new();
    let mut seen: Vec<&str> = vec![];
    let mut wrong = vec![];
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = line.split_whitespace();
        let Some(token) = words.next().filter(|word| !word.starts_with('#')) else {
            continue;
        };
        let mut complain = |what: &dyn std::fmt::Display| {
            wrong.push(format!("{}:{number}: {what}", path.display()));
        };
        let words = words.take_while(|word| !word.starts_with('#'));
        match identity(words) {
            _ if seen.contains(&token) => complain(&"the token is there twice: expected it once"),
            None => complain(&"nobody has the token: expected TOKEN NAME [ROLE ...]"),
            Some(Err(error)) => complain(&error),
            Some(Ok(identity)) => tokens = tokens.token(token, identity),
        }
        seen.push(token);
    }
    if seen.is_empty() {
        wrong.push(format!(
            "{}: there is no token: expected lines of TOKEN NAME [ROLE ...]",
            path.display()
        ));
    }
    if wrong.is_empty() {
        Ok(tokens)
    } else {
        Err(wrong)
    }
}

/// A name and its roles, if there is a name.
fn identity<'a>(
    mut words: impl Iterator<Item = &'a str>,
) -> Option<Result<Identity, IdentityError>> {
    let identity = Identity::new(words.next()?);
    Some(identity.and_then(|identity| words.try_fold(identity, Identity::with_role)))
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use towline_forwarder::Authorize;

    use super::*;

    fn wrong(text: &str) -> String {
        read(text, Path::new("tokens")).unwrap_err().join("\n")
    }

    #[test]
    fn a_line_is_a_token_a_name_and_roles() {
        let text = "# agents\n\nc0ffee build-agent # the old one\n\tdecaf\talice  admin dev\n";
        let tokens = read(text, Path::new("tokens")).unwrap();
        for (token, expected) in [
            ("c0ffee", Some("build-agent")),
            ("decaf", Some("alice:admin,dev")),
            ("agents", None),
            ("#", None),
        ] {
            let request = http::Request::builder()
                .header(AUTHORIZATION, format!("Bearer {token}"))
                .body(())
                .unwrap();
            let found = tokens.authorize(&request.into_parts().0).ok();
            let found = found.as_ref().map(Identity::as_str);
            assert_eq!(found, expected, "{token}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line_and_without_the_token() {
        let text = "s3cret-1\ns3cret-2 alice a:b\ns3cret-3 bob\ns3cret-3 carol\n";
        assert_eq!(
            wrong(text),
            "tokens:1: nobody has the token: expected TOKEN NAME [ROLE ...]\n\
             tokens:2: the role of an identity has a ':' or a ','\n\
             tokens:4: the token is there twice: expected it once"
        );
        for empty in ["", "\n# none\n"] {
            assert_eq!(
                wrong(empty),
                "tokens: there is no token: expected lines of TOKEN NAME [ROLE ...]"
            );
        }
        let long = format!("t {}", "x".repeat(2_000));
        assert!(
            wrong(&long).contains("longer than 1024 bytes"),
            "{}",
            wrong(&long)
        );
    }
}
