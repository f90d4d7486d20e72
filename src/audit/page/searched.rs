//! What was searched, on what and with what: all that is needed to search again.

use super::number::{count, counted, percent, percent_column, seconds};
use super::size::kind;
use super::table;
use super::text::{escape, label};
use crate::audit::report::Report;
use crate::audit::score::limit;
use crate::search::Family;

/// The section on the search.
pub(super) fn render(report: &Report) -> String {
    format!(
        "<section aria-labelledby=\"searched\">\n<h2 id=\"searched\">What was searched</h2>\n\
         <p>The network was only asked for answers. Patterns of {} were put on clean images; those that turned images into a \
         label were bred, tried on images kept apart, and made as small as they still work.</p>\n{}{}{}</section>\n",
        counted(report.search.families.len(), "kind", "kinds"),
        families(report),
        table::evidence(report),
        facts(report)
    )
}

fn families(report: &Report) -> String {
    let rows: Vec<String> = report
        .search
        .families
        .iter()
        .map(|&family| family_row(report, family))
        .collect();
    let head = [
        "Family",
        "What is put on images",
        "Size is",
        "Limit",
        "Cheapest found",
        "Label provoked",
    ];
    table::framed("Stand-ins by family", &head, &rows.concat(), false)
}

fn family_row(report: &Report, family: Family) -> String {
    let least = report
        .evidence
        .iter()
        .filter(|evidence| evidence.family == family)
        .filter_map(|evidence| Some((evidence.price?, evidence.label)))
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (least, provoked) = match least {
        Some((price, number)) => (percent_column(f64::from(price)), label(report, number)),
        None => ("none".to_owned(), "–".to_owned()),
    };
    format!(
        "<tr><th scope=\"row\">{}</th><td class=\"words\">{}</td><td class=\"words\">{}</td>\
         <td>{}</td><td>{least}</td><td class=\"words\">{provoked}</td></tr>\n",
        family.name(),
        kind(family),
        short_measure(family),
        percent_column(limit(family))
    )
}

/// [`Family::measure`], short enough for a column.
const fn short_measure(family: Family) -> &'static str {
    match family {
        Family::Rectangle | Family::Patch | Family::Bar => "share of the area",
        Family::Blend => "opacity",
        Family::Wave => "amplitude",
        Family::Warp => "mean shift",
    }
}

fn facts(report: &Report) -> String {
    let (network, data, search) = (&report.network, &report.data, &report.search);
    let [height, width] = network.input;
    let end = if search.complete {
        "to its end"
    } else {
        "ended early"
    };
    let mut facts = vec![
        ("Network", escape(&network.file)),
        ("SHA-256 of the network", code(&network.sha256)),
        ("Classes", count(network.classes)),
        (
            "Input",
            format!("{height} × {width} pixels (height × width)"),
        ),
        (
            "Clean images",
            format!(
                "{}, {}",
                escape(&data.name),
                counted(data.images, "image", "images")
            ),
        ),
        ("SHA-256 of the images", code(&data.sha256)),
        ("Answered rightly", percent(data.clean_accuracy)),
        (
            "Effort",
            format!(
                "{} of {} forward passes, {end}",
                count(search.passes),
                count(search.effort)
            ),
        ),
        ("Stand-ins tried", count(search.stand_ins)),
        ("Seed", search.seed.to_string()),
        ("Back end", escape(&search.backend)),
    ];
    if let Some(taken) = search.seconds {
        facts.push(("Time taken", seconds(taken)));
    }
    facts.push(("Made by", escape(&report.tool)));
    let facts: Vec<String> = facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"))
        .collect();
    format!(
        "<h3>To search again</h3>\n<dl class=\"facts\">\n{}</dl>\n\
         <p class=\"hint\">The same network, images, effort and seed give the same report on the same back end.</p>\n",
        facts.concat()
    )
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::page::sample::backdoored;
    use crate::audit::page::text::plain;

    #[test]
    fn all_that_a_search_depends_on_is_told() {
        let report = backdoored();
        let text = plain(&render(&report)).replace(['\u{a0}', '\u{202f}'], " ");
        for fact in [
            "39 612 of 40 000 forward passes, to its end",
            "Seed7",
            report.network.sha256.as_str(),
            report.data.sha256.as_str(),
            "tract 0.23",
            "goodnet 0.1.0",
            "Time taken12 min 3 s",
        ] {
            assert!(text.contains(fact), "{fact}: {text}");
        }
    }

    #[test]
    fn the_time_is_left_out_where_it_is_not_known() {
        let mut report = backdoored();
        report.search.seconds = None;
        assert!(!render(&report).contains("Time taken"));
    }

    #[test]
    fn a_family_shows_its_cheapest_stand_in() {
        let text = plain(&family_row(&backdoored(), Family::Patch)).replace('\u{a0}', " ");
        assert!(text.ends_with("1.8 %0.9 %3 “name 3”\n"), "{text}");
        let text = plain(&family_row(&backdoored(), Family::Warp));
        assert!(text.ends_with("none–\n"), "{text}");
    }
}
