//! The decoder against whole conversations (`broker/tests/corpus/`): as they are, in pieces, and twisted.

use bytes::BytesMut;
use proptest::prelude::*;

use super::{Version, connect, decode, frame};

const MAX: usize = 64 * 1024;

/// The conversations of the corpus by name, in the order of their names.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    found.sort();
    assert!(found.len() > 100, "the corpus is not there");
    found
}

/// What a connection makes of bytes that come in pieces: the first packet is a CONNECT, the others are of its
/// version, and the first that is none is the last. Each as text; errors begin with `!`.
fn drive<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut stream = BytesMut::new();
    let mut version: Option<Version> = None;
    let mut packets = Vec::new();
    for piece in pieces {
        stream.extend_from_slice(piece);
        loop {
            let before = stream.len();
            let frame = match frame::next(&mut stream, MAX) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(malformed) => {
                    packets.push(format!("!{malformed:?}"));
                    return packets;
                }
            };
            assert!(stream.len() + 2 <= before, "a packet takes at least two bytes");
            let read = match version {
                None => connect::decode(frame)
                    .inspect(|connect| version = Some(connect.version))
                    .map(|connect| format!("{connect:?}"))
                    .map_err(|fault| format!("!{fault:?}")),
                Some(version) => decode::decode(version, frame)
                    .map(|packet| format!("{packet:?}"))
                    .map_err(|malformed| format!("!{malformed:?}")),
            };
            match read {
                Ok(packet) => packets.push(packet),
                Err(error) => {
                    packets.push(error);
                    return packets;
                }
            }
        }
    }
    packets
}

#[test]
fn the_corpus_means_the_same_in_pieces_of_any_size() {
    for (name, bytes) in corpus() {
        let whole = drive(std::iter::once(&bytes[..]));
        for size in [1, 2, 7, 100] {
            assert_eq!(drive(bytes.chunks(size)), whole, "{name} in pieces of {size}");
        }
        if name.ends_with("sound") {
            assert!(whole.len() >= 8, "{name}: {whole:?}");
            assert!(
                whole.iter().all(|packet| !packet.starts_with('!')),
                "{name}: {whole:?}"
            );
        }
    }
}

/// One way to twist bytes.
#[derive(Clone, Debug)]
enum Twist {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
    Join(prop::sample::Index, prop::sample::Index),
}

fn twist() -> impl Strategy<Value = Twist> {
    let place = any::<prop::sample::Index>;
    let byte = prop_oneof![
        Just(0u8),
        Just(1),
        Just(0x7F),
        Just(0x80),
        Just(0xFF),
        any::<u8>()
    ];
    prop_oneof![
        6 => (place(), byte.clone()).prop_map(|(at, byte)| Twist::Set(at, byte)),
        2 => (place(), byte).prop_map(|(at, byte)| Twist::Insert(at, byte)),
        2 => place().prop_map(Twist::Remove),
        1 => place().prop_map(Twist::Cut),
        1 => (place(), place()).prop_map(|(from, to)| Twist::Repeat(from, to)),
        1 => (place(), place()).prop_map(|(file, at)| Twist::Join(file, at)),
    ]
}

fn twisted(mut bytes: Vec<u8>, twists: Vec<Twist>, corpus: &[(String, Vec<u8>)]) -> Vec<u8> {
    for twist in twists {
        let length = bytes.len().max(1);
        match twist {
            Twist::Insert(at, byte) => bytes.insert(at.index(bytes.len() + 1), byte),
            _ if bytes.is_empty() => {}
            Twist::Set(at, byte) => bytes[at.index(length)] = byte,
            Twist::Remove(at) => {
                bytes.remove(at.index(length));
            }
            Twist::Cut(at) => bytes.truncate(at.index(length)),
            Twist::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.extend(part);
            }
            Twist::Join(file, at) => {
                let (_, other) = &corpus[file.index(corpus.len())];
                let at = at.index(length);
                bytes.splice(at..at, other.iter().copied());
            }
        }
        bytes.truncate(4 * MAX);
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn twisted_conversations_never_panic_and_mean_the_same_in_pieces(
        seed in any::<prop::sample::Index>(),
        sound in any::<bool>(),
        twists in prop::collection::vec(twist(), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        static CORPUS: std::sync::OnceLock<Vec<(String, Vec<u8>)>> = std::sync::OnceLock::new();
        let corpus = CORPUS.get_or_init(corpus);
        let seeds: Vec<&(String, Vec<u8>)> =
            corpus.iter().filter(|(name, _)| !sound || name.ends_with("sound")).collect();
        let (_, bytes) = seed.get(&seeds);
        let bytes = twisted(bytes.clone(), twists, corpus);
        let whole = drive(std::iter::once(&bytes[..]));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        prop_assert_eq!(drive(pieces), whole);
    }
}
