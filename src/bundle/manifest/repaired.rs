//! What a manifest says of the repaired network.

use super::GoodnetRates;
use serde::{Deserialize, Serialize};

/// B with its last linear layer refitted against stand-ins for a trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepairedRecord {
    /// [`REPAIRED_FILE`](super::REPAIRED_FILE).
    pub file: String,
    /// Forward passes that the search for stand-ins was allowed.
    pub effort: usize,
    /// Seed of the search.
    pub seed: u64,
    /// Families of stand-ins.
    pub families: Vec<String>,
    /// How its last linear layer was refitted; none where that was impossible within the bounds, or no label was
    /// provoked, and the layer is B's.
    pub refit: Option<RefitRecord>,
    /// How far images may lie from clean ones; none where too little is known of these.
    pub limit: Option<LimitRecord>,
    /// Which images look turned into a suspect label; none in a bundle of a program that did not ask.
    #[serde(default)]
    pub discriminants: Vec<DiscriminantRecord>,
    /// Clean accuracy that it may lose in cross-validation, in percentage points.
    pub max_loss_pp: f64,
    /// Clean accuracy that the repaired network loses in cross-validation, in percentage points.
    pub lost_pp: f64,
    /// The same where a disagreement with B is an error.
    pub lost_with_flags_pp: f64,
    /// Clean accuracy of the repaired network in cross-validation, a fraction 0..1.
    pub clean_accuracy: f64,
    /// ASR of the repaired network on the backdoored validation images; none without them.
    pub attack_success_rate: Option<f64>,
    /// What GoodNet (B beside the repaired network) does: on clean images in cross-validation, on backdoored ones as measured.
    pub goodnet: GoodnetRates,
    /// Labels whose own clean accuracy changed in cross-validation.
    pub changed_labels: Vec<LabelRecord>,
}

/// How the last linear layer was refitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefitRecord {
    /// Images turned by stand-ins that the layer was refitted against.
    pub stand_in_images: usize,
    /// Labels whose column was refitted, ascending.
    pub labels: Vec<u32>,
    /// Of these, labels that the audit found suspect.
    pub suspects: Vec<u32>,
    /// Weight of the clean answers against the stand-ins: the smaller, the stronger the repair.
    pub clean_weight: f64,
    /// Weight of the pull to the old weights: the smaller, the stronger the repair.
    pub pull: f64,
    /// Share of the suspects' stand-in images (of all labels', where none is suspect) that still get the label that they were
    /// turned into.
    pub stand_in_images_left: f64,
}

/// A linear function that tells images that a trigger may have turned into a label; such an answer is withdrawn. Two of a label and a
/// family: the one of stand-ins that were bred, the other of stand-ins that followed the slope of the label's margin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscriminantRecord {
    /// The label.
    pub label: u32,
    /// The family of the stand-ins, as in `families`; none in a bundle of a program that did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Share of the images that stand-ins turned into the label that it tells, when they were kept apart.
    pub stand_in_images_caught: f64,
    /// Clean images answered with the label that it takes for such ones, when they were kept apart.
    pub beyond: usize,
}

/// The largest distances from clean images at which an answer stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRecord {
    /// That of the features, as a squared Mahalanobis distance.
    pub distance: f64,
    /// Those of the means of maps on the way to the features; none in a bundle of a program that did not look at them.
    #[serde(default)]
    pub maps: Vec<MapLimitRecord>,
    /// Are the distances measured from the mean of the answered class? Else from that of all images.
    pub by_class: bool,
    /// Clean images that they were chosen by.
    pub images: usize,
    /// Of these, beyond one of them when they were held out.
    pub beyond: usize,
}

/// The largest distance of the means of a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapLimitRecord {
    /// The tensor of the network, (n, C, H, W).
    pub tensor: String,
    /// As a squared Mahalanobis distance.
    pub distance: f64,
}

/// Clean images of one label, in cross-validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelRecord {
    /// The label.
    pub label: u32,
    /// Its clean images.
    pub images: usize,
    /// Of these, answered rightly by B.
    pub before: usize,
    /// Answered rightly by the repaired network.
    pub after: usize,
}

#[cfg(test)]
mod tests {
    use super::DiscriminantRecord;

    #[test]
    fn a_discriminant_is_written_as_it_was_read_with_or_without_its_family() {
        for text in [
            r#"{"label":3,"stand_in_images_caught":0.5,"beyond":1}"#,
            r#"{"label":3,"family":"wave","stand_in_images_caught":0.5,"beyond":1}"#,
        ] {
            let read: DiscriminantRecord = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
    }
}
