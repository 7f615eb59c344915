//! F25: a second server on the same data folder is refused; the first one goes on.

use crate::support::county;
use crate::support::mqtt::Client;
use crate::support::program::{Setup, command};

#[test]
fn a_second_server_on_the_same_data_is_refused_and_the_first_goes_on() {
    let setup = Setup::new(&county::one_station(), "");
    let server = setup.start();
    for more in [&[][..], &["--degraded"]] {
        let second = command()
            .args(["serve", "--config"])
            .arg(setup.path().join("townwatch.toml"))
            .args(more)
            .output()
            .unwrap();
        assert_eq!(second.status.code(), Some(5), "{second:?}");
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(said.contains("in use by another townwatch"), "{said}");
    }
    let mut client = Client::connect(server.mqtt, "station-1", "secret").unwrap();
    client
        .publish_acked("tw/v1/station-1/telemetry", br#"{"values":{"level":2}}"#)
        .unwrap();
    assert!(server.stop().success());
}
