use std::collections::BTreeSet;

use crate::generate::Random;
use crate::samples::Value;
use crate::samples::value::{at, day, row};
use crate::samples::words::{COUNTRIES, FIRST_NAMES, LAST_NAMES, QUALITIES, THINGS, note, title};

type Rows = Vec<Vec<Value>>;

const ARTISTS: i64 = 70;
const ALBUMS: i64 = 130;
const TRACKS: i64 = 900;
const PLAYLISTS: i64 = 14;
const EMPLOYEES: i64 = 9;
const CUSTOMERS: i64 = 75;
const INVOICES: i64 = 320;

const GENRES: &[Option<&str>] = &[
    Some("Ambient"),
    Some("ambient"),
    Some("Fado"),
    Some("Klezmer"),
    Some("Synthpop"),
    Some("Ζεϊμπέκικο"),
    Some(""),
    None,
    None,
];
const MEDIA: &[&str] = &["Opus file", "FLAC file", "Wax cylinder"];

/// The rows of each table.
pub(super) fn rows() -> Vec<(&'static str, Rows)> {
    let random = &mut Random::new(23);
    let mut rows = recordings(random);
    let prices = rows.iter().find(|(name, _)| *name == "Track").expect("tracks are made").1.iter();
    let prices: Vec<i64> = prices
        .map(|track| match track[8] {
            Value::Number(cents) => cents,
            _ => unreachable!("a price is a number"),
        })
        .collect();
    rows.extend(sales(random, &prices));
    rows
}

fn key(random: &mut Random, last: i64) -> i64 {
    random.between(1, last)
}

fn recordings(random: &mut Random) -> Vec<(&'static str, Rows)> {
    let artist = |id: i64| {
        let name = match random.below(10) {
            0 => None,
            1..=5 => Some(format!("{} {}", random.pick(FIRST_NAMES), random.pick(LAST_NAMES))),
            _ => Some(format!("The {} {}s", random.pick(QUALITIES), random.pick(THINGS))),
        };
        row![id, name]
    };
    let artists = (1..=ARTISTS).map(artist).collect();
    let album = |id: i64| {
        let released = random.chance(80).then(|| day(random.between(-18_000, 400)));
        // The last artists have no album.
        row![id, title(random), key(random, ARTISTS - 8), released]
    };
    let albums = (1..=ALBUMS).map(album).collect();
    let genres = (1..).zip(GENRES).map(|(id, name)| row![id, *name]).collect();
    let media = (1..).zip(MEDIA).map(|(id, name)| row![id, *name]).collect();
    let track = |id: i64| {
        let name = title(random);
        let album = random.chance(93).then(|| key(random, ALBUMS - 5));
        let genre = random.chance(85).then(|| key(random, GENRES.len() as i64));
        let composer = match random.below(5) {
            0 => None,
            1 => Some(String::new()),
            _ => Some(format!("{}/{}", random.pick(LAST_NAMES), random.pick(LAST_NAMES))),
        };
        let bytes = random.chance(90).then(|| random.between(40_000, 6_000_000_000));
        let price = *random.pick(&[69_i64, 99, 99, 129, 0]);
        let loudness = random.chance(75).then(|| -(random.between(1, 2_400) as f64) / 64.0);
        let media = key(random, MEDIA.len() as i64 - 1);
        row![id, name, album, media, genre, composer, random.between(31_000, 900_000), bytes, price, loudness]
    };
    let tracks = (1..=TRACKS).map(track).collect();
    let playlists = (1..=PLAYLISTS).map(|id| row![id, note(random)]).collect();
    let mut on_lists = Vec::new();
    // The last two lists are empty.
    for list in 1..=PLAYLISTS - 2 {
        let on: BTreeSet<i64> = (0..random.below(160)).map(|_| key(random, TRACKS)).collect();
        on_lists.extend(on.into_iter().map(|track| row![list, track]));
    }
    vec![
        ("Artist", artists),
        ("Album", albums),
        ("Genre", genres),
        ("MediaType", media),
        ("Track", tracks),
        ("Playlist", playlists),
        ("PlaylistTrack", on_lists),
    ]
}

fn sales(random: &mut Random, prices: &[i64]) -> Vec<(&'static str, Rows)> {
    let employee = |id: i64| {
        let (last, first) = (*random.pick(LAST_NAMES), *random.pick(FIRST_NAMES));
        // Two heads, and everybody else below somebody who came before.
        let head = (id > 2).then(|| key(random, id - 1));
        let title = random.chance(80).then_some(if id <= 2 { "Geschäftsführung" } else { "Sales" });
        row![id, last, first, title, head, at(id * 86_411), random.chance(50)]
    };
    let employees = (1..=EMPLOYEES).map(employee).collect();
    let customer = |id: i64| {
        let (first, last) = (*random.pick(FIRST_NAMES), *random.pick(LAST_NAMES));
        let company = random.chance(30).then(|| format!("{} & {}", random.pick(THINGS), last));
        let country = random.chance(90).then(|| random.pick(COUNTRIES).1);
        let email = format!("{}{id}@music.example", if id % 3 == 0 { "Buyer" } else { "buyer" });
        let support = random.chance(85).then(|| key(random, EMPLOYEES));
        row![id, first, last, company, country, email, support, note(random)]
    };
    let customers: Rows = (1..=CUSTOMERS).map(customer).collect();
    let (mut invoices, mut lines) = (Vec::new(), Vec::new());
    for id in 1..=INVOICES {
        // Some customers never buy.
        let customer = key(random, CUSTOMERS - 9);
        let bought: BTreeSet<i64> = (0..random.between(1, 9)).map(|_| key(random, TRACKS)).collect();
        let mut total = 0;
        for track in bought {
            let (price, quantity) = (prices[track as usize - 1], random.between(1, 3));
            total += price * quantity;
            lines.push(row![lines.len() as i64 + 1, id, track, price, quantity]);
        }
        let country = customers[customer as usize - 1][4].clone();
        invoices.push(row![id, customer, at(id * 40_009), country, total]);
    }
    vec![("Employee", employees), ("Customer", customers), ("Invoice", invoices), ("InvoiceLine", lines)]
}
