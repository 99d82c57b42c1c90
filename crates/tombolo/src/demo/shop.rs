//! The shop, before it is written anywhere: who buys, what is sold, what was ordered and what was paid.
//!
//! It has the flaws of real data, so that receipts have something to say: customers who never ordered, orders of customers
//! who are gone, payments whose order is not there, products that nobody buys, values that are missing.

use super::random::Random;

pub(super) const DAYS: u64 = 30;
const CUSTOMERS: i64 = 2_000;
const ORDERS: i64 = 10_000;

/// Customers above this number were deleted: their orders are still there.
const LAST_CUSTOMER_WITH_ORDERS: i64 = 2_040;

/// Every so many customers, one never orders.
const QUIET_CUSTOMER_EVERY: i64 = 11;

/// 2026-01-01 00:00:00 UTC in seconds.
const FIRST_SECOND: i64 = 1_767_225_600;

pub(super) const REGIONS: [(&str, &str); 6] = [
    ("North", "Harbour"),
    ("South", "Valley"),
    ("East", "Mill"),
    ("West", "Cliff"),
    ("Centre", "Market"),
    ("Islands", "Ferry"),
];

/// Regions by number, the busier ones more than once.
const REGION_OF: [i64; 16] = [1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5, 6];

const ADJECTIVES: [&str; 16] = [
    "Amber", "Brisk", "Calm", "Dapper", "Early", "Fresh", "Gentle", "Hollow", "Ivory", "Jolly", "Keen", "Lively",
    "Mellow", "Noble", "Olive", "Plain",
];
const NOUNS: [&str; 16] = [
    "Acorn", "Beacon", "Cedar", "Dune", "Ember", "Fern", "Grove", "Heron", "Islet", "Juniper", "Kelp", "Lagoon",
    "Meadow", "Nook", "Otter", "Pebble",
];
const CITIES: [&str; 8] =
    ["Ashbourne", "Brackwater", "Coldhaven", "Dunmere", "Eastholm", "Fernleigh", "Greyport", "Hillcombe"];
const TRADES: [&str; 8] = ["Bakery", "Books", "Cafe", "Garden", "Goods", "Studio", "Supply", "Works"];

const CATEGORIES: [(&str, [&str; 5], u64); 6] = [
    ("Kitchen", ["Kettle", "Pan", "Bowl", "Whisk", "Board"], 900),
    ("Garden", ["Trowel", "Planter", "Hose", "Rake", "Lantern"], 1_200),
    ("Office", ["Notebook", "Stapler", "Lamp", "Binder", "Pen"], 400),
    ("Toys", ["Puzzle", "Kite", "Blocks", "Top", "Marbles"], 700),
    ("Outdoor", ["Tent", "Flask", "Rope", "Compass", "Mat"], 2_500),
    ("Home", ["Cushion", "Clock", "Vase", "Blanket", "Frame"], 1_500),
];

pub(super) struct Customer {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) email: Option<String>,
    pub(super) region_id: Option<i64>,
    pub(super) signed_up: String,
}

pub(super) struct Product {
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) category: &'static str,
    pub(super) cents: u64,
}

pub(super) struct Item {
    pub(super) sku: String,
    pub(super) quantity: u64,
    pub(super) cents: u64,
}

pub(super) struct Order {
    pub(super) id: i64,
    pub(super) user_id: i64,
    pub(super) second: i64,
    pub(super) status: &'static str,
    pub(super) items: Vec<Item>,
    pub(super) city: &'static str,
    pub(super) method: &'static str,
    pub(super) coupon: Option<&'static str>,
}

impl Order {
    pub(super) fn cents(&self) -> u64 {
        self.items.iter().map(|item| item.quantity * item.cents).sum()
    }
}

pub(super) struct Transaction {
    pub(super) id: i64,
    pub(super) order_id: i64,
    pub(super) second: i64,
    pub(super) cents: i64,
    pub(super) method: &'static str,
    pub(super) status: &'static str,
    pub(super) card_country: Option<&'static str>,
}

impl Transaction {
    /// The day of the month, from 0.
    pub(super) fn day(&self) -> u64 {
        (self.second - FIRST_SECOND).unsigned_abs() / 86_400
    }
}

pub(super) struct Shop {
    pub(super) customers: Vec<Customer>,
    pub(super) products: Vec<Product>,
    pub(super) orders: Vec<Order>,
    pub(super) transactions: Vec<Transaction>,
}

impl Shop {
    pub(super) fn new() -> Self {
        let mut random = Random::new(0x0070_6d62_6f6c_6f21);
        let customers = (1..=CUSTOMERS).map(|id| customer(&mut random, id)).collect();
        let products = products(&mut random);
        let orders: Vec<Order> = (1..=ORDERS).map(|number| order(&mut random, 100_000 + number, &products)).collect();
        let transactions = transactions(&mut random, &orders);
        Self { customers, products, orders, transactions }
    }
}

fn customer(random: &mut Random, id: i64) -> Customer {
    let name = format!("{} {} {}", random.pick(&ADJECTIVES), random.pick(&NOUNS), random.pick(&TRADES));
    let address = name.to_lowercase().replace(' ', ".");
    let email = (!random.chance(30)).then(|| format!("{address}.{id}@example.com"));
    let region_id = (!random.chance(15)).then(|| *random.pick(&REGION_OF));
    let (year, month, day) = (2019 + random.below(7), 1 + random.below(12), 1 + random.below(28));
    Customer { id, name, email, region_id, signed_up: format!("{year}-{month:02}-{day:02}") }
}

fn products(random: &mut Random) -> Vec<Product> {
    (0..200_usize)
        .map(|number| {
            let (category, nouns, usual_cents) = CATEGORIES[number % CATEGORIES.len()];
            let adjective = ADJECTIVES[(number / CATEGORIES.len()) % ADJECTIVES.len()];
            let cents = usual_cents / 2 + random.below(usual_cents * 2);
            Product {
                sku: format!("{}-{:03}", category[..3].to_uppercase(), number + 1),
                name: format!("{adjective} {}", random.pick(&nouns)),
                category,
                cents: cents / 5 * 5 + 4,
            }
        })
        .collect()
}

fn order(random: &mut Random, id: i64, products: &[Product]) -> Order {
    let mut user_id = 1 + random.skewed_below(LAST_CUSTOMER_WITH_ORDERS as u64) as i64;
    if user_id % QUIET_CUSTOMER_EVERY == 0 {
        user_id += 1;
    }
    // Some orders are of customers who are gone.
    if random.chance(17) {
        user_id = CUSTOMERS + 1 + random.below(40) as i64;
    }
    let second = FIRST_SECOND + random.below(DAYS * 86_400 - 7_200) as i64;
    let items = (0..1 + random.skewed_below(5))
        .map(|_| {
            // The last dozen of products is never sold.
            let product = &products[random.skewed_below(products.len() as u64 - 12) as usize];
            // Now and then below the price of the list.
            let cents = if random.chance(100) { product.cents * 9 / 10 } else { product.cents };
            Item { sku: product.sku.clone(), quantity: 1 + random.skewed_below(4), cents }
        })
        .collect();
    let status = match random.below(100) {
        0..=5 => "cancelled",
        6..=14 => "open",
        _ => "shipped",
    };
    Order {
        id,
        user_id,
        second,
        status,
        items,
        city: random.pick::<&str>(&CITIES),
        method: random.pick::<&str>(&["standard", "express", "pickup"]),
        coupon: random.chance(80).then_some("WINTER26"),
    }
}

/// Most orders are paid at once, some after a failed attempt, some are paid back, some never; a few payments name an order
/// that is not there.
fn transactions(random: &mut Random, orders: &[Order]) -> Vec<Transaction> {
    let mut transactions = Vec::new();
    let mut add = |random: &mut Random, order_id: i64, second: i64, cents: i64, status: &'static str| {
        let method = *random.pick(&["card", "card", "card", "transfer", "wallet"]);
        let card_country =
            (method == "card" && !random.chance(40)).then(|| *random.pick(&["DE", "FR", "GB", "NL", "US"]));
        let id = 500_000 + transactions.len() as i64;
        transactions.push(Transaction { id, order_id, second, cents, method, status, card_country });
    };
    for order in orders {
        let cents = order.cents() as i64;
        if order.status == "cancelled" && random.chance(600) || order.status == "open" && random.chance(400) {
            continue;
        }
        let mut second = order.second + 30 + random.below(600) as i64;
        while random.chance(130) {
            add(random, order.id, second, cents, "declined");
            second += 60 + random.below(600) as i64;
        }
        add(random, order.id, second, cents, "captured");
        if order.status == "cancelled" || random.chance(25) {
            add(random, order.id, second + 3_600, -cents, "refunded");
        }
    }
    for number in 0..120 {
        let second = FIRST_SECOND + random.below(DAYS * 86_400) as i64;
        let cents = 500 + random.below(20_000) as i64;
        add(random, 990_000 + number, second, cents, "captured");
    }
    transactions
}

/// The second as text, as in RFC 3339.
pub(super) fn timestamp(second: i64) -> String {
    chrono::DateTime::from_timestamp(second, 0)
        .map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

/// The day of the month, from 0, as text.
pub(super) fn date(day: u64) -> String {
    timestamp(FIRST_SECOND + day as i64 * 86_400)[..10].to_owned()
}

/// Cents as an amount: `12.50`.
pub(super) fn amount(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
