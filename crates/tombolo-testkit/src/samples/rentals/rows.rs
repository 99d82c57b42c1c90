use std::collections::BTreeSet;

use crate::generate::Random;
use crate::samples::Value;
use crate::samples::value::{at, day, row};
use crate::samples::words::{COUNTRIES, FIRST_NAMES, LAST_NAMES, PLACES, STREETS, note, title};

type Rows = Vec<Vec<Value>>;

const CITIES: i64 = 40;
const ADDRESSES: i64 = 220;
const STORES: i64 = 4;
const STAFF: i64 = 11;
const CUSTOMERS: i64 = 180;
const FILMS: i64 = 160;
const ACTORS: i64 = 90;
const COPIES: i64 = 420;
const RENTALS: i64 = 1_500;
const YEAR: i64 = 365 * 86_400;

/// Languages, the last two of which no film is in.
const LANGUAGES: &[(&str, Option<&str>)] = &[
    ("Deutsch", Some("Latin")),
    ("English", Some("Latin")),
    ("日本語", None),
    ("Русский", Some("Cyrillic")),
    ("Español", Some("Latin")),
    ("Ελληνικά", Some("Greek")),
    ("Íslenska", Some("")),
];

const CATEGORIES: &[&str] = &["Adventure", "Comédie", "Documentary", "Family", "Horror", "Musik", "Noir", "Western"];

/// The rows of each table.
pub(super) fn rows() -> Vec<(&'static str, Rows)> {
    let random = &mut Random::new(11);
    let mut rows = places(random);
    rows.extend(people(random));
    rows.extend(films(random));
    rows.extend(business(random));
    rows
}

/// One of the keys from 1 on.
fn key(random: &mut Random, last: i64) -> i64 {
    random.between(1, last)
}

fn names(random: &mut Random) -> (&'static str, &'static str) {
    (*random.pick(FIRST_NAMES), *random.pick(LAST_NAMES))
}

fn places(random: &mut Random) -> Vec<(&'static str, Rows)> {
    let countries = (1..).zip(COUNTRIES).map(|(id, (code, name))| row![id, *code, *name]).collect();
    let city = |id: i64| {
        let country = key(random, COUNTRIES.len() as i64);
        let people = random.chance(80).then(|| random.between(900, 4_200_000_000));
        row![id, country, *random.pick(PLACES), people]
    };
    let cities = (1..=CITIES).map(city).collect();
    let address = |id: i64| {
        let street = format!("{} {}", random.pick(STREETS), random.between(1, 199));
        let district = random.chance(70).then(|| if random.chance(20) { "" } else { *random.pick(PLACES) });
        let code = if random.chance(10) { String::new() } else { format!("{:05}", random.below(99_999)) };
        let phone =
            random.chance(75).then(|| format!("+{} {}", random.between(1, 99), random.between(100_000, 999_999)));
        row![id, street, district, key(random, CITIES), code, phone]
    };
    vec![("country", countries), ("city", cities), ("address", (1..=ADDRESSES).map(address).collect())]
}

fn people(random: &mut Random) -> Vec<(&'static str, Rows)> {
    // The manager of a store works in the next one.
    let stores = (1..=STORES).map(|id| row![id, id % STORES + 1, id, day(id * 31)]).collect();
    let member = |id: i64| {
        let ((first, last), store) = (names(random), (id - 1) % STORES + 1);
        let email = random.chance(70).then(|| format!("staff{id}@rental.example"));
        let picture =
            random.chance(40).then(|| (0..random.below(40)).map(|_| random.bits() as u8).collect::<Vec<u8>>());
        // Logins that differ in case alone.
        let login = if id % 2 == 0 { format!("User{}", id / 2) } else { format!("user{}", id / 2) };
        let wage = Value::Number(random.between(180_000, 450_000));
        row![id, store, id + STORES, first, last, email, login, random.chance(80), picture, wage]
    };
    let staff = (1..=STAFF).map(member).collect();
    let customer = |id: i64| {
        let (first, last) = names(random);
        let email = random.chance(85).then(|| format!("{}{id}@mail.example", first.to_lowercase()));
        let born = random.chance(60).then(|| day(random.between(-25_000, -6_600)));
        let since = at(random.between(0, 2 * YEAR));
        let (store, address) = (key(random, STORES), key(random, ADDRESSES));
        row![id, store, address, first, last, email, random.chance(90), born, note(random), since]
    };
    vec![("store", stores), ("staff", staff), ("customer", (1..=CUSTOMERS).map(customer).collect())]
}

fn films(random: &mut Random) -> Vec<(&'static str, Rows)> {
    let languages = (1..).zip(LANGUAGES).map(|(id, (name, script))| row![id, *name, *script]).collect();
    let categories = (1..).zip(CATEGORIES).map(|(id, name)| row![id, *name]).collect();
    let spoken = LANGUAGES.len() as i64 - 2;
    let film = |id: i64| {
        let (title, synopsis) = (title(random), note(random));
        let released = random.chance(90).then(|| random.between(1_931, 2_021));
        let original = random.chance(25).then(|| key(random, spoken));
        let minutes = random.chance(95).then(|| random.between(41, 230));
        let class = random.chance(85).then(|| *random.pick(&["all", "7+", "12+", "16+", "adults'"]));
        // In the order of their labels, as a server gives them back.
        let extras = random.chance(70).then(|| {
            let all = ["subtitles", "director's cut", "songs", "Ausschnitte"];
            all.into_iter().filter(|_| random.chance(35)).collect::<Vec<_>>()
        });
        let (rate, cost) = (99 + 100 * random.between(0, 5), random.between(500, 3_999));
        let changed = at(random.between(0, 2 * YEAR));
        let (language, days) = (key(random, spoken), random.between(2, 9));
        row![id, title, synopsis, released, language, original, days, rate, minutes, cost, class, extras, changed]
    };
    let films = (1..=FILMS).map(film).collect();
    let actor = |id: i64| {
        let (first, last) = names(random);
        row![id, first, last, random.chance(80).then(|| day(random.between(-32_000, -4_000)))]
    };
    let actors = (1..=ACTORS).map(actor).collect();
    let (mut casts, mut shelves) = (Vec::new(), Vec::new());
    for film in 1..=FILMS {
        // The last ten actors play in nothing.
        let cast: BTreeSet<i64> = (0..random.below(7)).map(|_| key(random, ACTORS - 10)).collect();
        for (billing, actor) in (1_i64..).zip(cast) {
            let part = random.chance(60).then(|| random.pick(FIRST_NAMES).to_string());
            casts.push(row![film, actor, billing, part]);
        }
        let on: BTreeSet<i64> = (0..random.below(3)).map(|_| key(random, CATEGORIES.len() as i64)).collect();
        shelves.extend(on.into_iter().map(|category| row![film, category]));
    }
    vec![
        ("language", languages),
        ("category", categories),
        ("film", films),
        ("actor", actors),
        ("film_actor", casts),
        ("film_category", shelves),
    ]
}

fn business(random: &mut Random) -> Vec<(&'static str, Rows)> {
    let mut copies = Vec::new();
    let mut inventory = Vec::new();
    for number in 0..COPIES {
        let (store, copy) = (number % STORES + 1, number / STORES + 1);
        copies.push((store, copy));
        // The last films are in no store.
        inventory.push(row![store, copy, key(random, FILMS - 12), day(random.between(0, 700))]);
    }
    let (mut rentals, mut payments) = (Vec::new(), Vec::new());
    for id in 1..=RENTALS {
        let (store, copy) = *random.pick(&copies);
        // No two at one second, so that no copy is taken twice at once.
        let taken = YEAR + id * 20_011;
        let returned = random.chance(88).then(|| at(taken + random.between(3_600, 12 * 86_400)));
        // Some customers never rent.
        let (customer, staff) = (key(random, CUSTOMERS - 25), key(random, STAFF));
        rentals.push(row![id, store, copy, customer, staff, at(taken), returned]);
        if random.chance(92) {
            let rental = random.chance(97).then_some(id);
            let amount = if random.chance(3) { -random.between(99, 799) } else { 99 + 100 * random.between(0, 11) };
            let paid = at(taken + random.between(0, 86_400));
            let said = random.chance(8).then(|| note(random)).flatten();
            payments.push(row![payments.len() as i64 + 1, customer, staff, rental, amount, paid, said]);
        }
    }
    vec![("inventory", inventory), ("rental", rentals), ("payment", payments), ("waiting", Vec::new())]
}
