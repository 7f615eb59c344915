use rust_decimal::Decimal;

use super::*;

fn one(substances: &str, people: u32) -> UnitResult {
    let text = format!("[[unit]]\nid = \"u\"\npeople_within_500m = {people}\n{substances}");
    run("t.toml", &text).unwrap().remove(0)
}

fn lpg(tonnes: &str, people: u32) -> Identified {
    one(
        &format!("[[unit.substance]]\nname = \"液化石油气\"\ndesign_max_t = {tonnes}\n"),
        people,
    )
    .identified
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The first five are the golden vectors of domain.md §2.1; the rest by hand: β 1.5, Q 50, so S = q/50 and
/// R = α · 1.5 · q/50.
#[test]
fn lpg_is_graded_as_the_standard_says() {
    for (tonnes, people, s, r, level) in [
        ("45", 120, "0.90", None, None),
        ("50", 0, "1.00", Some("0.75"), Some(Level::Four)),
        ("90", 120, "1.80", Some("5.40"), Some(Level::Four)),
        ("166", 120, "3.32", Some("9.96"), Some(Level::Four)),
        ("167", 120, "3.34", Some("10.02"), Some(Level::Three)),
        ("50.000", 0, "1", Some("0.75"), Some(Level::Four)),
        ("49.999", 1000, "0.99998", None, None),
        ("1_000", 0, "20", Some("15"), Some(Level::Three)),
        (
            "99.999999999",
            0,
            "1.99999999998",
            Some("1.499999999985"),
            Some(Level::Four),
        ),
    ] {
        let found = lpg(tonnes, people);
        assert_eq!(found.s, decimal(s), "S of {tonnes} t");
        assert_eq!(found.major_hazard, level.is_some(), "{tonnes} t");
        assert_eq!(found.r, r.map(decimal), "R of {tonnes} t");
        assert_eq!(found.level, level, "level of {tonnes} t");
    }
}

/// J2 has β 1 and Q 50; with α 2.0, R = 2·q/50: 10 at 250 t, 50 at 1250 t, 100 at 2500 t.
#[test]
fn the_cut_offs_of_r_are_inclusive() {
    for (tonnes, r, level) in [
        ("249.999", "9.99996", Level::Four),
        ("250", "10", Level::Three),
        ("1249.999", "49.99996", Level::Three),
        ("1250", "50", Level::Two),
        ("2499.999", "99.99996", Level::Two),
        ("2500", "100", Level::One),
    ] {
        let found = one(
            &format!("[[unit.substance]]\nclass = \"J2\"\ndesign_max_t = {tonnes}\n"),
            100,
        )
        .identified;
        assert_eq!(found.r, Some(decimal(r)), "{tonnes} t");
        assert_eq!(found.level, Some(level), "{tonnes} t");
    }
}

#[test]
fn thirds_that_add_up_to_one_are_one() {
    // Given three aerosol stores of 50 t (Q = 150): 1/3 + 1/3 + 1/3,
    let third = "[[unit.substance]]\nclass = \"W3\"\ndesign_max_t = 50\n";
    let found = one(&third.repeat(3), 10).identified;
    // then S is 1 and the unit is a major hazard, though no decimal holds a third.
    assert_eq!((found.s, found.major_hazard), (Decimal::ONE, true));
    // And so is ten times a tenth (acetylene, Q = 1), which binary floating point misses.
    let tenth = "[[unit.substance]]\nname = \"acetylene\"\ndesign_max_t = 0.1\n";
    assert!(one(&tenth.repeat(10), 0).identified.major_hazard);
}

#[test]
fn substances_are_summed_each_with_its_own_quantity_and_factor() {
    // Given 20 t LPG (20/50 = 0.4) and 7 t ammonia (7/10 = 0.7), 60 people (α 1.5):
    let found = one(
        "[[unit.substance]]\nname = \"LPG\"\ndesign_max_t = 20\n[[unit.substance]]\nname = \"氨\"\ndesign_max_t = 7.0\n",
        60,
    )
    .identified;
    // S = 1.1; R = 1.5 · (1.5·0.4 + 2·0.7) = 1.5 · 2.0 = 3.
    assert_eq!(found.s, decimal("1.1"));
    assert_eq!(found.r, Some(decimal("3")));
}

#[test]
fn the_json_form_is_one_array_with_exact_numbers_and_nulls_below_one() {
    let text = r#"
[[unit]]
id = "罐区\"1\""
people_within_500m = 120
[[unit.substance]]
name = "液化石油气"
design_max_t = 166
[[unit]]
id = "2"
people_within_500m = 0
[[unit.substance]]
name = "propane"
design_max_t = 45.0
"#;
    let out = json(&run("t.toml", text).unwrap());
    assert_eq!(
        out,
        "[\n  {\"id\": \"罐区\\\"1\\\"\", \"s\": 3.32, \"major_hazard\": true, \"alpha\": 2, \"r\": 9.96, \"level\": 4},\n  \
         {\"id\": \"2\", \"s\": 0.9, \"major_hazard\": false, \"alpha\": 0.5, \"r\": null, \"level\": null}\n]\n"
    );
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value[0]["r"], 9.96);
}

#[test]
fn people_get_a_table_in_their_language() {
    let results = run(
        "t.toml",
        "[[unit]]\nid = \"a\"\npeople_within_500m = 120\n[[unit.substance]]\nname = \"LPG\"\ndesign_max_t = 167\n",
    )
    .unwrap();
    assert_eq!(
        text(&results, Language::English),
        "unit  S = Σq/Q  people within 500 m  α  R      result (GB 18218-2018)\n\
         a     3.34      120                  2  10.02  major hazard, level 3\n"
    );
    assert!(text(&results, Language::Chinese).contains("三级重大危险源"));
}

#[track_caller]
fn refused(text: &str, words: &[&str]) {
    let error = run("f.toml", text).unwrap_err();
    let cause = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
    let said = format!("{error}: {cause}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in {said}");
    }
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_unit() {
    let unit = |rest: &str| format!("[[unit]]\nid = \"u1\"\npeople_within_500m = 5\n{rest}");
    let lpg = "[[unit.substance]]\nname = \"LPG\"\ndesign_max_t = 5\n";
    refused("", &["f.toml", "no [[unit]]"]);
    refused(
        &unit("[[unit.substance]]\nname = \"liquified petrolium gas\"\ndesign_max_t = 5\n"),
        &["f.toml", "line 5", "unit u1", "liquefied petroleum gas", "class"],
    );
    refused(&unit(&lpg.replace("= 5", "= -5")), &["line 6", "u1", "negative"]);
    refused(&unit(&lpg.replace("= 5", "= nan")), &["line 6", "u1", "nan"]);
    refused(&unit(&lpg.replace("= 5", "= true")), &["line 6", "tonnes"]);
    refused(&unit(&lpg.replace("= 5", "= 1e20")), &["u1", "between 0 and"]);
    refused(
        &unit(&lpg.replace("= 5", "= 49.9999999999")),
        &["u1", "9 decimals"],
    );
    refused(
        &unit(&lpg.replace("design_max_t = 5\n", "")),
        &["f.toml", "design_max_t", "line 4"],
    );
    refused(
        &unit(&lpg.replace("design_max_t", "design_max_kg")),
        &["f.toml", "design_max_kg", "line 6"],
    );
    refused(
        &unit(&lpg.replace("name = \"LPG\"", "name = \"LPG\"\nclass = \"W2\"")),
        &["line 6", "not both"],
    );
    refused(
        &unit("[[unit.substance]]\ndesign_max_t = 5\n"),
        &["line 5", "neither"],
    );
    refused(&format!("{0}{0}", unit(lpg)), &["line 8", "u1", "twice"]);
    refused(&unit(""), &["f.toml", "substance"]);
    refused(
        &unit(lpg).replace("= 5\n[[", "= -1\n[["),
        &["line 3", "people_within_500m -1"],
    );
    refused(
        &unit(lpg).replace("people_within_500m = 5\n", ""),
        &["people_within_500m"],
    );
}
