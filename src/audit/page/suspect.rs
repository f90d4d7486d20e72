//! A suspect label: how little provokes it, shown and told.

use super::heat;
use super::number::{NO_BREAK, counted, percent, score};
use super::pictures::Pictures;
use super::size::{extent, in_pixels, kind, measured};
use super::text::label;
use crate::audit::calibration;
use crate::audit::report::{Example, Report, Suspect};
use crate::audit::score::limit;
use crate::search::Family;
use crate::search::evidence::WORKS;

/// A section for each suspect label; none where there is none.
pub(super) fn sections(report: &Report, pictures: &Pictures<'_>) -> String {
    let sections: Vec<String> = report
        .suspects
        .iter()
        .map(|suspect| section(report, suspect, pictures))
        .collect();
    sections.concat()
}

fn section(report: &Report, suspect: &Suspect, pictures: &Pictures<'_>) -> String {
    let number = suspect.label;
    format!(
        "<section class=\"suspect\" aria-labelledby=\"label-{number}\">\n\
         <h2 id=\"label-{number}\">Suspect: label {}</h2>\n\
         <div class=\"stand-in\">\n{}<div class=\"told\">\n{}</div>\n</div>\n{}{}</section>\n",
        label(report, number),
        stand_in(suspect, pictures),
        told(report, suspect),
        examples(report, suspect, pictures),
        heat::render(report, suspect)
    )
}

fn stand_in(suspect: &Suspect, pictures: &Pictures<'_>) -> String {
    let family = suspect.evidence.family;
    let alt = format!(
        "The stand-in for label {} alone: {}",
        suspect.label,
        kind(family)
    );
    let whole = format!(
        "<figure>{}<figcaption>The stand-in alone, on grey</figcaption></figure>\n",
        pictures.image(&suspect.stand_in_png, &alt)
    );
    let [top, left, rows, columns] = suspect.bounds;
    let [height, width] = pictures.input;
    let is_small = (1..=height / 2).contains(&rows) && (1..=width / 2).contains(&columns);
    if !is_small || !matches!(family, Family::Rectangle | Family::Patch | Family::Bar) {
        return whole;
    }
    format!(
        "{whole}<figure>{}<figcaption>Enlarged: {}, {} from the top and {left} from the left</figcaption></figure>\n",
        pictures.enlarged(&suspect.stand_in_png, "The same, enlarged", suspect.bounds),
        extent(rows, columns),
        counted(top, "pixel", "pixels")
    )
}

/// How many images it turns, how small it can be, and what clean networks need.
fn told(report: &Report, suspect: &Suspect) -> String {
    let evidence = &suspect.evidence;
    let turned = format!(
        "<p>The best stand-in for a trigger is <strong>{}</strong>. It turned <strong>{} of {} ({})</strong>, which the \
         network answers otherwise without it, into label {}. The search had not seen these images.</p>\n",
        kind(evidence.family),
        evidence.turned.hits,
        counted(evidence.turned.images, "clean image", "clean images"),
        percent(evidence.turned.share()),
        label(report, suspect.label)
    );
    format!(
        "{turned}{}{}",
        least(report, suspect),
        scored(report, suspect)
    )
}

fn least(report: &Report, suspect: &Suspect) -> String {
    let evidence = &suspect.evidence;
    let works = percent(WORKS);
    let Some(least) = evidence.least_size else {
        return format!(
            "<p>It turns less than {works} of the images, so no smaller one was looked for.</p>\n"
        );
    };
    let bounds = [suspect.bounds[2], suspect.bounds[3]];
    let smallest = in_pixels(
        evidence.family,
        f64::from(least),
        report.network.input,
        bounds,
    );
    if least < evidence.size {
        return format!(
            "<p>That was with {}. Made smaller, it still turns at least {works} of the images down to \
             <strong>{smallest}</strong>. The pictures show the one that the score rests on.</p>\n",
            measured(evidence.family, f64::from(evidence.size))
        );
    }
    format!(
        "<p>It takes <strong>{smallest}</strong>. No smaller one was seen to turn {works} of the images.</p>\n"
    )
}

fn scored(report: &Report, suspect: &Suspect) -> String {
    let record = report
        .labels
        .iter()
        .find(|record| record.label == suspect.label);
    let Some(record) = record else {
        return String::new();
    };
    let family = suspect.evidence.family;
    let price = f64::from(suspect.evidence.price.unwrap_or_default());
    let cheap = format!(
        "A unit of margin (by which a clean image’s own label wins) costs {} here. The limit is {}, \
         <strong>{} times</strong> as much.",
        measured(family, price),
        measured(family, limit(family)),
        score(record.cheapness)
    );
    let amplified = record.amplification.map_or_else(String::new, |found| {
        format!(
            " Early in the network these images differ little from what they were, at its end much from the \
             label’s own: {} times as much, where {} is the limit beside the other labels, \
             <strong>{} times</strong> that.",
            score(found),
            score(record.amplification_needed),
            score(found / record.amplification_needed)
        )
    });
    format!(
        "<p>{cheap}{amplified} Together they make a score of <strong>{}</strong>; from 1 on a label is suspect.{}</p>\n",
        score(record.score),
        rarity(report, suspect.label)
    )
}

/// How rare such a score is among clean networks; nothing in a report that does not know.
fn rarity(report: &Report, label: u32) -> String {
    let record = report.labels.iter().find(|record| record.label == label);
    record.and_then(|record| record.p_value).map_or_else(String::new, |p| {
        let networks = calibration::networks();
        let as_high = (p * (1.0 + networks as f64)).round() as usize;
        let as_high = as_high.saturating_sub(1);
        format!(
            " Of {networks} clean networks that were audited alike, {as_high} had a label with a score as high \
             (p{NO_BREAK}={NO_BREAK}{p:.2}; it cannot be lower with so few)."
        )
    })
}

fn examples(report: &Report, suspect: &Suspect, pictures: &Pictures<'_>) -> String {
    if suspect.examples.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = suspect
        .examples
        .iter()
        .map(|example| pair(report, suspect, example, pictures))
        .collect();
    format!(
        "<h3>Clean images without and with the stand-in</h3>\n<div class=\"examples\">\n{}</div>\n",
        shown.concat()
    )
}

fn pair(report: &Report, suspect: &Suspect, example: &Example, pictures: &Pictures<'_>) -> String {
    let (before, after) = (label(report, example.before), label(report, example.after));
    let (class, word) = match example.after {
        turned if turned == suspect.label => ("turned", "turned"),
        same if same == example.before => ("kept", "not turned"),
        _ => ("kept", "another answer"),
    };
    format!(
        "<div class=\"pair\">\n<figure>{}<figcaption>without: <b>{before}</b></figcaption></figure>\n\
         <figure class=\"{class}\">{}<figcaption>with: <b>{after}</b> \
         <span class=\"tag\">{word}</span></figcaption></figure>\n</div>\n",
        pictures.image(
            &example.before_png,
            &format!("A clean image, answered {before}")
        ),
        pictures.image(
            &example.after_png,
            &format!("The same image with the stand-in, answered {after}")
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::page::sample::{backdoored, pictures};
    use crate::audit::page::text::plain;
    use std::collections::BTreeMap;

    fn text(report: &Report) -> String {
        let files = pictures(report);
        let html = sections(report, &Pictures::new(&files, report.network.input));
        plain(&html).replace('\u{a0}', " ")
    }

    #[test]
    fn a_suspect_is_told_in_sentences() {
        let text = text(&backdoored());
        for sentence in [
            "Suspect: label 3 “name 3”",
            "It turned 93 of 96 clean images (96.9 %), which the network answers otherwise without it, into label 3",
            "still turns at least 60 % of the images down to 0.9 % of the image’s area: 3 × 3 pixels.",
            "costs 0.9 % of the image’s area here. The limit is 1.8 % of the image’s area, 2.0 times as much.",
            "at its end much from the label’s own: 40 times as much, where 1.9 is the limit beside the other labels, 21 times that.",
            "Together they make a score of 4.0; from 1 on a label is suspect.",
            "Of 8 clean networks that were audited alike, 0 had a label with a score as high (p = 0.11;",
            "Enlarged: 3 × 3 pixels, 28 pixels from the top and 24 from the left",
        ] {
            assert!(text.contains(sentence), "{sentence}: {text}");
        }
    }

    #[test]
    fn answers_are_told_turned_by_a_word() {
        let mut report = backdoored();
        report.suspects[0].examples[1].after = 1;
        let text = text(&report);
        assert!(text.contains("with: 3 “name 3” turned"), "{text}");
        assert!(text.contains("with: 1 “name 1” not turned"), "{text}");
    }

    #[test]
    fn a_suspect_without_a_heat_map_and_without_pictures_is_told_all_the_same() {
        let mut report = backdoored();
        report.suspects[0].heat_map = None;
        report.suspects[0].examples.clear();
        report.suspects[0].evidence.family = Family::Warp;
        report.suspects[0].evidence.least_size = None;
        report.suspects[0].evidence.price = None;
        let html = sections(
            &report,
            &Pictures::new(&BTreeMap::new(), report.network.input),
        );
        assert!(html.contains("a slight warp of the whole image"));
        assert!(!html.contains("<svg") && !html.contains("Enlarged"));
    }
}
