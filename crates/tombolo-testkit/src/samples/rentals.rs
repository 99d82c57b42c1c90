mod rows;

use super::kinds::Kind::{
    Big, Bytes, Char, Date, Decimal, Flag, Int, Label, Labels, Local, Moment, Small, Sum, Text, Unsigned, Varchar, Year,
};
use super::{Column, Kind, Sample, Table, View, given, maybe};

const CLASSES: Kind = Label("class_of_film", &["all", "7+", "12+", "16+", "adults'"]);
const EXTRAS: Kind = Labels(&["subtitles", "director's cut", "songs", "Ausschnitte"]);
const RELEASED: Kind = Year("year_of_film");
const YEAR_SAYS: &str = "the year of the first showing";
const CLASS_SAYS: &str = "who may see it";

/// A film rental: stores, their films and who rents them.
pub fn film_rental() -> Sample {
    let mut tables = places();
    tables.extend(people());
    tables.extend(films());
    tables.extend(business());
    let rows = rows::rows();
    for table in &mut tables {
        let (_, rows) = rows.iter().find(|(name, _)| *name == table.name).expect("each table is given rows");
        *table = table.clone().rows(rows.clone());
    }
    Sample { name: "rentals", tables, views: vec![film_list(), takings_of_stores()] }
}

fn places() -> Vec<Table> {
    vec![
        Table::new(
            "country",
            vec![
                given("country_id", Small),
                given("code", Char(2)).by_bytes().says("two letters, as in ISO 3166"),
                given("name", Varchar(60)).by_bytes(),
            ],
            &["country_id"],
        )
        .says("Countries; each under the name that its people use")
        .unique("country_by_code", &["code"])
        .unique("country_by_name", &["name"]),
        Table::new(
            "city",
            vec![
                given("city_id", Int),
                given("country_id", Small),
                given("name", Varchar(80)),
                maybe("people", Unsigned).says("how many live there, where that is known"),
            ],
            &["city_id"],
        )
        .index("city_by_name", &["country_id", "name"])
        .refers("city_country", &["country_id"], "country", &["country_id"]),
        Table::new(
            "address",
            vec![
                given("address_id", Int),
                given("street", Varchar(120)),
                maybe("district", Varchar(60)),
                given("city_id", Int),
                given("postal_code", Varchar(12)).says("empty where the country has none"),
                maybe("phone", Varchar(30)),
            ],
            &["address_id"],
        )
        .says("Where stores, staff and customers are: \"street\" and what's behind it")
        .index("address_by_code", &["postal_code", "city_id"])
        .refers("address_city", &["city_id"], "city", &["city_id"]),
    ]
}

fn people() -> Vec<Table> {
    vec![
        Table::new(
            "store",
            vec![
                given("store_id", Small),
                given("manager_id", Small).says("who runs it; may work elsewhere"),
                given("address_id", Int),
                given("opened", Date),
            ],
            &["store_id"],
        )
        .unique("store_of_manager", &["manager_id"])
        .refers("store_manager", &["manager_id"], "staff", &["staff_id"])
        .refers("store_address", &["address_id"], "address", &["address_id"]),
        Table::new(
            "staff",
            vec![
                given("staff_id", Small),
                given("store_id", Small),
                given("address_id", Int),
                given("first_name", Varchar(45)),
                given("last_name", Varchar(45)),
                maybe("email", Varchar(80)),
                given("login", Varchar(16)).by_bytes().says("case matters"),
                given("is_active", Flag),
                maybe("picture", Bytes),
                given("wage", Decimal(9, 2)).says("a month, in €"),
            ],
            &["staff_id"],
        )
        .says("Who works in the stores")
        .unique("staff_login", &["login"])
        .index("staff_by_name", &["last_name", "first_name"])
        .refers("staff_store", &["store_id"], "store", &["store_id"])
        .refers("staff_address", &["address_id"], "address", &["address_id"]),
        Table::new(
            "customer",
            vec![
                given("customer_id", Int),
                given("store_id", Small),
                given("address_id", Int),
                given("first_name", Varchar(45)),
                given("last_name", Varchar(45)),
                maybe("email", Varchar(80)).by_bytes(),
                given("is_active", Flag),
                maybe("born", Date),
                maybe("note", Text),
                given("since", Local).says("by the clock of the store"),
            ],
            &["customer_id"],
        )
        .unique("customer_email", &["email"])
        .index("customer_by_name", &["last_name", "first_name"])
        .index("customer_of_store", &["store_id"])
        .refers("customer_store", &["store_id"], "store", &["store_id"])
        .refers("customer_address", &["address_id"], "address", &["address_id"]),
    ]
}

fn films() -> Vec<Table> {
    vec![
        Table::new(
            "language",
            vec![given("language_id", Small), given("name", Char(20)), maybe("script", Varchar(20))],
            &["language_id"],
        )
        .says("Languages that films are spoken in"),
        Table::new("category", vec![given("category_id", Small), given("name", Varchar(25))], &["category_id"]),
        Table::new(
            "film",
            vec![
                given("film_id", Int),
                given("title", Varchar(255)),
                maybe("synopsis", Text),
                maybe("released", RELEASED).says(YEAR_SAYS),
                given("language_id", Small),
                maybe("original_language_id", Small).says("where it was dubbed; größtenteils leer"),
                given("rental_days", Small),
                given("rental_rate", Decimal(4, 2)),
                maybe("minutes", Small),
                given("replacement_cost", Decimal(7, 2)),
                maybe("class", CLASSES).says(CLASS_SAYS),
                maybe("extras", EXTRAS),
                given("changed", Moment),
            ],
            &["film_id"],
        )
        .says("Films, one row for each that can be rented anywhere")
        .index("film_by_title", &["title"])
        .index("film_by_language", &["language_id", "released"])
        .refers("film_language", &["language_id"], "language", &["language_id"])
        .refers("film_original_language", &["original_language_id"], "language", &["language_id"]),
        Table::new(
            "actor",
            vec![
                given("actor_id", Int),
                given("first_name", Varchar(45)),
                given("last_name", Varchar(45)),
                maybe("born", Date),
            ],
            &["actor_id"],
        )
        .index("actor_by_name", &["last_name"]),
        Table::new(
            "film_actor",
            vec![given("film_id", Int), given("actor_id", Int), given("billing", Small), maybe("part", Varchar(60))],
            &["film_id", "actor_id"],
        )
        .says("Who plays in which film")
        .unique("film_actor_billing", &["film_id", "billing"])
        .index("film_actor_of_actor", &["actor_id"])
        .refers("film_actor_film", &["film_id"], "film", &["film_id"])
        .refers("film_actor_actor", &["actor_id"], "actor", &["actor_id"]),
        Table::new(
            "film_category",
            vec![given("film_id", Int), given("category_id", Small)],
            &["category_id", "film_id"],
        )
        .refers("film_category_film", &["film_id"], "film", &["film_id"])
        .refers("film_category_category", &["category_id"], "category", &["category_id"]),
    ]
}

fn business() -> Vec<Table> {
    vec![
        Table::new(
            "inventory",
            vec![given("store_id", Small), given("copy", Int), given("film_id", Int), given("bought", Date)],
            &["store_id", "copy"],
        )
        .says("Copies of films; each store numbers its own")
        .index("inventory_of_film", &["film_id", "store_id"])
        .refers("inventory_store", &["store_id"], "store", &["store_id"])
        .refers("inventory_film", &["film_id"], "film", &["film_id"]),
        Table::new(
            "rental",
            vec![
                given("rental_id", Unsigned),
                given("store_id", Small),
                given("copy", Int),
                given("customer_id", Int),
                given("staff_id", Small),
                given("taken", Moment),
                maybe("returned", Moment).says("null while it's out"),
            ],
            &["rental_id"],
        )
        .unique("rental_once", &["store_id", "copy", "taken"])
        .index("rental_of_customer", &["customer_id", "taken"])
        .refers("rental_copy", &["store_id", "copy"], "inventory", &["store_id", "copy"])
        .refers("rental_customer", &["customer_id"], "customer", &["customer_id"])
        .refers("rental_staff", &["staff_id"], "staff", &["staff_id"]),
        Table::new(
            "payment",
            vec![
                given("payment_id", Big),
                given("customer_id", Int),
                given("staff_id", Small),
                maybe("rental_id", Unsigned),
                given("amount", Decimal(7, 2)).says("less than nothing where money was given back"),
                given("paid", Local),
                maybe("note", Text),
            ],
            &["payment_id"],
        )
        .says("Money that was taken")
        .index("payment_by_time", &["paid"])
        .refers("payment_customer", &["customer_id"], "customer", &["customer_id"])
        .refers("payment_staff", &["staff_id"], "staff", &["staff_id"])
        .refers("payment_rental", &["rental_id"], "rental", &["rental_id"]),
        Table::new(
            "waiting",
            vec![given("film_id", Int), given("customer_id", Int), given("asked", Moment)],
            &["film_id", "customer_id"],
        )
        .says("Who waits for which film: nobody yet")
        .refers("waiting_film", &["film_id"], "film", &["film_id"])
        .refers("waiting_customer", &["customer_id"], "customer", &["customer_id"]),
    ]
}

fn film_list() -> View {
    let columns = |on_mysql: bool| -> Vec<Column> {
        let column =
            |name, kind, is_given: bool| if is_given && on_mysql { given(name, kind) } else { maybe(name, kind) };
        vec![
            column("film_id", Int, true),
            column("title", Varchar(255), true),
            column("released", RELEASED, false),
            column("class", CLASSES, false),
            column("language", Char(20), true),
            column("original", Char(20), false),
            column("category", Varchar(25), false),
        ]
    };
    // A view of MariaDB's says of a column what its table does.
    let mut on_mysql = columns(true);
    on_mysql[2].comment = Some(YEAR_SAYS);
    on_mysql[3].comment = Some(CLASS_SAYS);
    View {
        name: "film_list",
        comment: Some("Films with what stands on their shelf"),
        on_postgres: columns(false),
        on_mysql,
        query: "SELECT f.film_id, f.title, f.released, f.class, l.name AS language, o.name AS original, c.name AS category \
                FROM @film f JOIN @language l ON l.language_id = f.language_id \
                LEFT JOIN @language o ON o.language_id = f.original_language_id \
                LEFT JOIN @film_category fc ON fc.film_id = f.film_id \
                LEFT JOIN @category c ON c.category_id = fc.category_id",
    }
}

fn takings_of_stores() -> View {
    View {
        name: "takings_of_stores",
        comment: None,
        on_postgres: vec![maybe("store_id", Small), maybe("payments", Big), maybe("taken", Sum(29, 2))],
        on_mysql: vec![given("store_id", Small), given("payments", Big), maybe("taken", Sum(29, 2))],
        query: "SELECT s.store_id, count(*) AS payments, sum(p.amount) AS taken FROM @payment p \
                JOIN @staff s ON s.staff_id = p.staff_id GROUP BY s.store_id",
    }
}
