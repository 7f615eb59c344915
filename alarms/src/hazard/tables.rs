//! The tables of GB 18218-2018 as far as they are known: critical quantities Q, β and α.
//!
//! Source: GB 18218-2018 Tables 1 to 5, as extracted in the project's domain notes (confidence high).
//! Table 1 holds the flammable gases and their neighbours, not all 85 rows: what is missing is named by
//! its hazard class (Table 2). Beside a name, the aliases and CAS numbers by which it is known are accepted.

use rust_decimal::Decimal;

use super::compute::COMMON;

/// A substance, or a hazard class that stands for what Table 1 does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Substance {
    /// Chinese name, or the class.
    pub zh: &'static str,
    /// English name, or the class.
    pub en: &'static str,
    /// Q, t.
    critical_t: u32,
    /// β · 2, so that it is whole.
    beta_doubled: u8,
    /// Other names and CAS numbers.
    aliases: &'static [&'static str],
}

impl Substance {
    /// Q: critical quantity, t.
    #[must_use]
    pub fn critical_t(self) -> Decimal {
        Decimal::from(self.critical_t)
    }

    /// β: correction factor.
    #[must_use]
    pub fn beta(self) -> Decimal {
        Decimal::new(i64::from(self.beta_doubled) * 5, 1)
    }

    /// `COMMON` / Q, whole.
    pub(super) fn shares(self) -> Decimal {
        Decimal::from(COMMON / self.critical_t)
    }

    fn answers_to(self, wanted: &str) -> bool {
        (self.aliases.iter().copied())
            .chain([self.zh, self.en])
            .any(|name| fold(name) == wanted)
    }
}

const fn of(
    zh: &'static str,
    en: &'static str,
    critical_t: u32,
    beta_doubled: u8,
    aliases: &'static [&'static str],
) -> Substance {
    Substance {
        zh,
        en,
        critical_t,
        beta_doubled,
        aliases,
    }
}

/// Table 1 with β of Table 3 for toxic gases (ammonia 2) or else of Table 4: flammable gases (W2) 1.5;
/// oxygen, methanol, ethanol and gasoline, taken as "all other classes", 1.
const TABLE_1: [Substance; 14] = [
    of(
        "液化石油气",
        "liquefied petroleum gas",
        50,
        3,
        &[
            "LPG",
            "液化石油气（含丙烷、丁烷及其混合物）",
            "liquefied petroleum gases",
            "丙烷",
            "propane",
            "丁烷",
            "butane",
            "n-butane",
            "正丁烷",
            "68476-85-7",
            "74-98-6",
            "106-97-8",
        ],
    ),
    of(
        "甲烷",
        "methane",
        50,
        3,
        &[
            "天然气",
            "甲烷、天然气",
            "natural gas",
            "CNG",
            "LNG",
            "液化天然气",
            "压缩天然气",
            "74-82-8",
            "8006-14-2",
        ],
    ),
    of("二甲醚", "dimethyl ether", 50, 3, &["DME", "甲醚", "115-10-6"]),
    of("氯乙烯", "vinyl chloride", 50, 3, &["75-01-4"]),
    of(
        "一甲胺",
        "methylamine",
        5,
        3,
        &["甲胺", "monomethylamine", "74-89-5"],
    ),
    of("氨", "ammonia", 10, 4, &["液氨", "氨气", "NH3", "7664-41-7"]),
    of("甲醇", "methanol", 500, 2, &["67-56-1"]),
    of("氢", "hydrogen", 5, 3, &["氢气", "H2", "1333-74-0"]),
    of("乙炔", "acetylene", 1, 3, &["74-86-2"]),
    of("乙烯", "ethylene", 50, 3, &["74-85-1"]),
    of(
        "1,3-丁二烯",
        "1,3-butadiene",
        5,
        3,
        &["丁二烯", "butadiene", "106-99-0"],
    ),
    of(
        "氧（压缩的或液化的）",
        "oxygen (compressed or liquefied)",
        200,
        2,
        &["氧", "氧气", "液氧", "oxygen", "liquid oxygen", "7782-44-7"],
    ),
    of("汽油", "gasoline", 200, 2, &["petrol", "86290-81-5"]),
    of("乙醇", "ethanol", 500, 2, &["64-17-5"]),
];

/// Table 2 with β of Table 4.
const TABLE_2: [Substance; 11] = [
    of(
        "W2 易燃气体",
        "W2 flammable gas",
        10,
        3,
        &["W2", "易燃气体", "flammable gas"],
    ),
    of("W3 气溶胶", "W3 aerosol", 150, 2, &["W3", "气溶胶", "aerosol"]),
    of("W5.1 易燃液体", "W5.1 flammable liquid", 10, 3, &["W5.1"]),
    of("W5.2 易燃液体", "W5.2 flammable liquid", 50, 2, &["W5.2"]),
    of("W5.3 易燃液体", "W5.3 flammable liquid", 1000, 2, &["W5.3"]),
    of("W5.4 易燃液体", "W5.4 flammable liquid", 5000, 2, &["W5.4"]),
    of("J1 急性毒性", "J1 acute toxicity", 5, 8, &["J1"]),
    of("J2 急性毒性", "J2 acute toxicity", 50, 2, &["J2"]),
    of("J3 急性毒性", "J3 acute toxicity", 50, 4, &["J3"]),
    of("J4 急性毒性", "J4 acute toxicity", 50, 4, &["J4"]),
    of("J5 急性毒性", "J5 acute toxicity", 500, 2, &["J5"]),
];

fn all() -> impl Iterator<Item = &'static Substance> {
    TABLE_1.iter().chain(&TABLE_2)
}

/// Letters in lower case, without spaces; full-width brackets and commas as ASCII ones.
fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            '（' => '(',
            '）' => ')',
            '，' => ',',
            other => other,
        })
        .collect()
}

/// The substance or class of that name, alias or CAS number; upper and lower case are the same.
#[must_use]
pub fn substance(name: &str) -> Option<Substance> {
    let wanted = fold(name);
    all().find(|substance| substance.answers_to(&wanted)).copied()
}

/// The at most three names that look most like `name`, nearest first.
pub(super) fn nearest(name: &str) -> Vec<&'static str> {
    let wanted = fold(name);
    let mut names: Vec<(f64, &str)> = all()
        .flat_map(|substance| {
            substance
                .aliases
                .iter()
                .copied()
                .chain([substance.zh, substance.en])
        })
        .map(|known| (strsim::jaro_winkler(&wanted, &fold(known)), known))
        .filter(|(likeness, _)| *likeness > 0.6)
        .collect();
    names.sort_by(|a, b| b.0.total_cmp(&a.0));
    names.into_iter().take(3).map(|(_, known)| known).collect()
}

/// α by the number of people who live permanently within 500 m outside the boundary.
///
/// Source: GB 18218-2018, Table 5.
#[must_use]
pub fn alpha(people: u32) -> Decimal {
    let tenths = match people {
        0 => 5,
        1..=29 => 10,
        30..=49 => 12,
        50..=99 => 15,
        100.. => 20,
    };
    Decimal::new(tenths, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_critical_quantity_divides_the_common_multiple() {
        for substance in all() {
            assert_eq!(COMMON % substance.critical_t, 0, "{}", substance.en);
        }
    }

    #[test]
    fn no_name_means_two_substances() {
        for substance in all() {
            for name in substance
                .aliases
                .iter()
                .copied()
                .chain([substance.zh, substance.en])
            {
                let twins = all().filter(|other| other.answers_to(&fold(name))).count();
                assert_eq!(twins, 1, "{name}");
            }
        }
    }

    #[test]
    fn lpg_goes_by_its_chinese_and_english_names_and_cas_numbers() {
        for name in [
            "液化石油气",
            "LPG",
            "lpg",
            "Liquefied Petroleum Gas",
            "丙烷",
            "68476-85-7",
        ] {
            assert_eq!(substance(name).unwrap().en, "liquefied petroleum gas", "{name}");
        }
        assert_eq!(substance("w2").unwrap().critical_t(), Decimal::TEN);
        assert_eq!(substance("phlogiston"), None);
    }

    /// Source: GB 18218-2018, Table 5.
    #[test]
    fn alpha_steps_at_1_30_50_and_100_people() {
        for (people, wanted) in [
            (0, "0.5"),
            (1, "1.0"),
            (29, "1.0"),
            (30, "1.2"),
            (49, "1.2"),
            (50, "1.5"),
            (99, "1.5"),
            (100, "2.0"),
        ] {
            assert_eq!(alpha(people).to_string(), wanted, "{people}");
        }
    }
}
