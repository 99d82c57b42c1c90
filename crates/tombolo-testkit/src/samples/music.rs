mod rows;

use super::kinds::Kind::{Big, Date, Decimal, Double, Flag, Int, Local, Small, Sum, Text, Varchar};
use super::{Column, Kind, Sample, Table, View, given, maybe};

/// A music shop, all of whose names want quotes: they have upper and lower case, and some a blank.
pub fn music_shop() -> Sample {
    let mut tables = recordings();
    tables.extend(sales());
    let rows = rows::rows();
    for table in &mut tables {
        let (_, rows) = rows.iter().find(|(name, _)| *name == table.name).expect("each table is given rows");
        *table = table.clone().rows(rows.clone());
    }
    Sample { name: "music", tables, views: vec![track_list(), invoice_totals()] }
}

fn recordings() -> Vec<Table> {
    vec![
        Table::new("Artist", vec![given("ArtistId", Int), maybe("Name", Varchar(120))], &["ArtistId"])
            .says("Who plays: people and bands")
            .index("IX_ArtistName", &["Name"]),
        Table::new(
            "Album",
            vec![
                given("AlbumId", Int),
                given("Title", Varchar(160)),
                given("ArtistId", Int),
                maybe("Released On", Date).says("the day; null where only rumours are known"),
            ],
            &["AlbumId"],
        )
        .refers("FK_AlbumArtistId", &["ArtistId"], "Artist", &["ArtistId"]),
        Table::new("Genre", vec![given("GenreId", Small), maybe("Name", Varchar(60)).by_bytes()], &["GenreId"])
            .unique("UQ_Genre_Name", &["Name"]),
        Table::new("MediaType", vec![given("MediaTypeId", Small), given("Name", Varchar(60))], &["MediaTypeId"])
            .says("How a track's sound is kept"),
        Table::new(
            "Track",
            vec![
                given("TrackId", Int),
                given("Name", Varchar(200)),
                maybe("AlbumId", Int),
                given("MediaTypeId", Small),
                maybe("GenreId", Small),
                maybe("Composer", Varchar(220)).says("as printed — may be \"\""),
                given("Milliseconds", Int),
                maybe("Bytes", Big),
                given("UnitPrice", Decimal(10, 2)),
                maybe("Loudness", Double).says("in dB; below zero"),
            ],
            &["TrackId"],
        )
        .says("One row a track")
        .index("IX_TrackAlbumId", &["AlbumId", "Name"])
        .refers("FK_TrackAlbumId", &["AlbumId"], "Album", &["AlbumId"])
        .refers("FK_TrackMediaTypeId", &["MediaTypeId"], "MediaType", &["MediaTypeId"])
        .refers("FK_TrackGenreId", &["GenreId"], "Genre", &["GenreId"]),
        Table::new("Playlist", vec![given("PlaylistId", Int), maybe("Name", Varchar(120))], &["PlaylistId"]),
        Table::new("PlaylistTrack", vec![given("PlaylistId", Int), given("TrackId", Int)], &["PlaylistId", "TrackId"])
            .says("Which tracks a list has")
            .refers("FK_PlaylistTrackPlaylistId", &["PlaylistId"], "Playlist", &["PlaylistId"])
            .refers("FK_PlaylistTrackTrackId", &["TrackId"], "Track", &["TrackId"]),
    ]
}

fn sales() -> Vec<Table> {
    vec![
        Table::new(
            "Employee",
            vec![
                given("EmployeeId", Int),
                given("LastName", Varchar(20)),
                given("FirstName", Varchar(20)),
                maybe("Title", Varchar(30)),
                maybe("ReportsTo", Int).says("their head; null for who has none"),
                given("HireDate", Local),
                given("IsRemote", Flag),
            ],
            &["EmployeeId"],
        )
        .refers("FK_EmployeeReportsTo", &["ReportsTo"], "Employee", &["EmployeeId"]),
        Table::new(
            "Customer",
            vec![
                given("CustomerId", Int),
                given("FirstName", Varchar(40)),
                given("LastName", Varchar(20)),
                maybe("Company", Varchar(80)),
                maybe("Country", Varchar(40)),
                given("Email", Varchar(60)).by_bytes(),
                maybe("SupportRepId", Int),
                maybe("Notes", Text),
            ],
            &["CustomerId"],
        )
        .says("Who buys")
        .unique("UQ_Customer_Email", &["Email"])
        .index("IX_Customer Country", &["Country", "LastName", "FirstName"])
        .refers("FK_CustomerSupportRepId", &["SupportRepId"], "Employee", &["EmployeeId"]),
        Table::new(
            "Invoice",
            vec![
                given("InvoiceId", Int),
                given("CustomerId", Int),
                given("InvoiceDate", Local),
                maybe("BillingCountry", Varchar(40)),
                given("Total", Decimal(10, 2)).says("the sum of its lines"),
            ],
            &["InvoiceId"],
        )
        .says("Bills")
        .index("IX_InvoiceDate", &["InvoiceDate"])
        .refers("FK_InvoiceCustomerId", &["CustomerId"], "Customer", &["CustomerId"]),
        Table::new(
            "InvoiceLine",
            vec![
                given("InvoiceLineId", Int),
                given("InvoiceId", Int),
                given("TrackId", Int),
                given("UnitPrice", Decimal(10, 2)),
                given("Quantity", Int),
            ],
            &["InvoiceLineId"],
        )
        .unique("UQ_Invoice_Track", &["InvoiceId", "TrackId"])
        .refers("FK_InvoiceLineInvoiceId", &["InvoiceId"], "Invoice", &["InvoiceId"])
        .refers("FK_InvoiceLineTrackId", &["TrackId"], "Track", &["TrackId"]),
    ]
}

fn track_list() -> View {
    let columns = |on_mysql: bool| -> Vec<Column> {
        let column = |name, kind: Kind, is_given: bool| {
            if is_given && on_mysql { given(name, kind) } else { maybe(name, kind) }
        };
        vec![
            column("TrackId", Int, true),
            column("Track Name", Varchar(200), true),
            column("Album", Varchar(160), false),
            column("Artist", Varchar(120), false),
            column("UnitPrice", Decimal(10, 2), true),
        ]
    };
    View {
        name: "Track List",
        comment: Some("Tracks with their artists' names"),
        on_postgres: columns(false),
        on_mysql: columns(true),
        query: "SELECT t.\"TrackId\", t.\"Name\" AS \"Track Name\", a.\"Title\" AS \"Album\", r.\"Name\" AS \"Artist\", \
                t.\"UnitPrice\" FROM @\"Track\" t LEFT JOIN @\"Album\" a ON a.\"AlbumId\" = t.\"AlbumId\" \
                LEFT JOIN @\"Artist\" r ON r.\"ArtistId\" = a.\"ArtistId\"",
    }
}

fn invoice_totals() -> View {
    View {
        name: "InvoiceTotals",
        comment: None,
        on_postgres: vec![maybe("CustomerId", Int), maybe("Invoices", Big), maybe("Spent", Sum(32, 2))],
        on_mysql: vec![given("CustomerId", Int), given("Invoices", Big), maybe("Spent", Sum(32, 2))],
        query: "SELECT i.\"CustomerId\", count(*) AS \"Invoices\", sum(i.\"Total\") AS \"Spent\" FROM @\"Invoice\" i \
                GROUP BY i.\"CustomerId\"",
    }
}
