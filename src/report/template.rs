//! Fills in the templates of pages and files; the one place that escapes for HTML, XML and URLs.
//! Pure.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, HtmlEscape, UndefinedBehavior, Value, escape_formatter, filters};
use serde::Serialize;

/// Fills in a built-in template. A name that ends in `.html` or `.xml` says that values are
/// escaped; those of no such file are not.
pub fn render(name: &str, source: &str, values: impl Serialize) -> String {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("only what is done with blanks is changed"));
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => escape_formatter(out, state, &legible(text).into()),
        Some(_) | None => escape_formatter(out, state, value),
    });
    environment
        .render_named_str(name, source, Value::from(Serde(values)))
        .expect("built-in templates name only what there is; tests fill in each of them")
}

/// Text for HTML and XML, attributes too.
pub fn escaped(text: &str) -> String {
    HtmlEscape(&legible(text)).to_string()
}

/// A path for a URL, with its slashes.
pub fn url_path(path: &str) -> String {
    filters::urlencode(&Value::from(path)).expect("texts can always be written in a URL")
}

/// Characters that neither HTML nor XML can say, however they are written, are replaced.
fn legible(text: &str) -> String {
    let illegible = |c: char| {
        (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    text.replace("\r\n", "\n").replace(illegible, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_text() {
        let hostile = "<b a='1'>&\"\u{1b}\u{0}\r\n";
        let values = serde_json::json!({ "a": hostile });
        let text = render("x.html", "<i>{{ a }}</i>\n", &values);
        let told = "&lt;b a=&#x27;1&#x27;&gt;&amp;&quot;\u{fffd}\u{fffd}\n";
        assert_eq!(text, format!("<i>{told}</i>"));
        assert_eq!(escaped(hostile), told);
        assert_eq!(url_path("a b/ü%#?.sql"), "a%20b/%C3%BC%25%23%3F.sql");
    }
}
