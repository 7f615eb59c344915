//! What the program says when it is called wrongly, and `hazard` and `check`.

use std::net::TcpListener;

use crate::support::program::{Server, Setup, call};
use crate::support::{county, wait};

#[test]
fn a_taken_port_is_named_in_one_line_and_nothing_is_left_running() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for option in ["--mqtt", "--web"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let other = if option == "--mqtt" { "--web" } else { "--mqtt" };
        let arguments = [
            "demo",
            option,
            &address,
            other,
            "127.0.0.1:0",
            "--data",
            data.to_str().unwrap(),
        ];
        let (code, _, said) = call(&arguments);
        assert_eq!(code, 4, "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(&address) && said.contains(option), "{said}");
        // The folder is free again: nobody holds its lock.
        let lock = std::fs::File::open(data.join("townwatch.lock")).unwrap();
        assert!(lock.try_lock().is_ok());
    }
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named_in_one_line() {
    // A file where the folder should be.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, _, said) = call(&[
        "demo",
        "--data",
        file.to_str().unwrap(),
        "--mqtt",
        "127.0.0.1:0",
        "--web",
        "127.0.0.1:0",
    ]);
    assert_eq!((code, said.lines().count()), (5, 1), "{said}");
    assert!(said.contains(file.to_str().unwrap()), "{said}");
    // A folder that another townwatch holds.
    let setup = Setup::new(&county::one_station(), "");
    let first = setup.start();
    let config = setup.path().join("townwatch.toml");
    let (code, _, said) = call(&["serve", "--config", config.to_str().unwrap()]);
    assert_eq!((code, said.lines().count()), (5, 1), "{said}");
    assert!(said.contains("in use"), "{said}");
    assert!(first.stop().success());
}

#[test]
fn wrong_usage_is_exit_code_2_and_help_lists_the_codes() {
    assert_eq!(call(&["demo", "--sped", "2"]).0, 2);
    assert_eq!(call(&["demo", "--speed", "0"]).0, 2);
    let (code, help, _) = call(&["demo", "--help"]);
    assert_eq!(code, 0);
    for word in [
        "--county",
        "--speed",
        "--data",
        "--mqtt",
        "--web",
        "--seed",
        "Exit codes",
        "4  an address",
    ] {
        assert!(help.contains(word), "{word} is missing in\n{help}");
    }
}

#[test]
fn a_fault_that_does_not_exist_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (code, _, said) = call(&["demo", "--fault", "meteor", "--data", data.to_str().unwrap()]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("meteor") && said.contains("gas-leak"), "{said}");
    assert!(!data.exists());
}

#[test]
fn check_names_file_line_and_what_to_try() {
    let setup = Setup::new(
        &county::one_station(),
        "[web]\nlisten = \"127.0.0.1:0\"\nlistne = 1\n",
    );
    let config = setup.path().join("townwatch.toml");
    std::fs::write(
        &config,
        "[registry]\nfile = \"county.toml\"\n[web]\nlistne = \"127.0.0.1:80\"\n",
    )
    .unwrap();
    let (code, said, _) = call(&["check", config.to_str().unwrap()]);
    assert_eq!(code, 3);
    assert!(said.contains("townwatch.toml:4:1"), "{said}");
    assert!(said.contains("try: listen instead of listne"), "{said}");
    // The printed template is sound once its registry is there.
    let (code, template, _) = call(&["check", "--print"]);
    assert_eq!(code, 0);
    std::fs::write(&config, template.replace("county.json", "county.toml")).unwrap();
    assert_eq!(call(&["check", config.to_str().unwrap()]).0, 0);
    // A mistake in the registry is found too.
    std::fs::write(
        setup.path().join("county.toml"),
        county::one_station().replace("latitude = 27.56,", "latitude = 127.56,"),
    )
    .unwrap();
    let (code, said, _) = call(&["check", "--json", config.to_str().unwrap()]);
    assert_eq!(code, 3);
    assert!(
        serde_json::from_str::<serde_json::Value>(&said).unwrap()[0]["file"]
            .as_str()
            .unwrap()
            .contains("county.toml"),
        "{said}"
    );
}

#[test]
fn hazard_answers_the_worked_values_of_gb_18218_without_a_server() {
    // Given the golden vectors of domain.md §2.1 (LPG, Q = 50 t, β = 1.5), by both names of the substance,
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("units.toml");
    let cases = [("45", 120), ("50", 0), ("90", 120), ("166", 120), ("167", 120)];
    let mut text = String::new();
    for (place, (tonnes, people)) in cases.iter().enumerate() {
        let name = if place % 2 == 0 { "液化石油气" } else { "LPG" };
        text += &format!(
            "[[unit]]\nid = \"u{place}\"\npeople_within_500m = {people}\n[[unit.substance]]\nname = \"{name}\"\ndesign_max_t = {tonnes}\n"
        );
    }
    std::fs::write(&file, &text).unwrap();
    // when they are computed,
    let (code, said, error) = call(&["hazard", file.to_str().unwrap(), "--json"]);
    assert_eq!(code, 0, "{error}");
    // then S, α, R and level are those of the table.
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    let expected = [
        (0.9, false, None, None, None),
        (1.0, true, Some(0.5), Some(0.75), Some(4)),
        (1.8, true, Some(2.0), Some(5.4), Some(4)),
        (3.32, true, Some(2.0), Some(9.96), Some(4)),
        (3.34, true, Some(2.0), Some(10.02), Some(3)),
    ];
    for (place, (s, major, alpha, r, level)) in expected.into_iter().enumerate() {
        let unit = &answer[place];
        assert_eq!(unit["id"], format!("u{place}"), "{unit}");
        assert_eq!(unit["s"].as_f64(), Some(s), "{unit}");
        assert_eq!(unit["major_hazard"], major, "{unit}");
        if alpha.is_some() {
            assert_eq!(unit["alpha"].as_f64(), alpha, "{unit}");
        }
        assert_eq!(unit["r"].as_f64(), r, "{unit}");
        assert_eq!(unit["level"].as_i64(), level, "{unit}");
    }
    // And without --json a person reads a table.
    let (code, table, _) = call(&["hazard", file.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(table.contains("u4") && table.contains("10.02"), "{table}");
    // An unknown substance is named with what there is.
    std::fs::write(&file, text.replace("\"LPG\"", "\"LGP\"")).unwrap();
    let (code, _, said) = call(&["hazard", file.to_str().unwrap()]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("LGP") && said.contains("u1"), "{said}");
}

#[test]
fn a_served_county_stops_in_order_on_sigterm() {
    let setup = Setup::new(&county::one_station(), "");
    let server: Server = setup.start();
    assert!(crate::support::http::get(server.web, "/healthz").unwrap().status == 200);
    let web = server.web;
    assert!(server.stop().success());
    wait::until(
        "nobody listens any more",
        wait::SOON,
        || match std::net::TcpStream::connect(web) {
            Err(_) => Ok(()),
            Ok(_) => Err("still listening".to_owned()),
        },
    );
}
