/// One stop of the tour.
pub(super) struct Step {
    /// The question, as a person asks it.
    pub(super) title: &'static str,
    /// What to look at, before it is shown.
    pub(super) before: &'static str,
    /// What is done.
    pub(super) kind: StepKind,
    /// The statement.
    pub(super) sql: &'static str,
}

/// What a stop shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepKind {
    /// The answer, and in short how the rows met.
    Query,
    /// The answer and its whole receipt.
    QueryWithReceipt,
    /// The plan; nothing is read.
    Explain,
}

/// The stops in order: each shows one more thing than the one before.
pub(super) const STEPS: [Step; 4] = [
    Step {
        title: "Who orders most?",
        before: "Customers are in a database, their orders in a JSON file. One statement joins the two.",
        kind: StepKind::Query,
        sql: "\
SELECT c.name AS customer, count(*) AS orders, max(o.placed_at) AS last_order
FROM shop.customers c
JOIN files.orders o ON c.id = o.user_id
GROUP BY c.id, c.name
ORDER BY orders DESC, customer
LIMIT 5",
    },
    Step {
        title: "What earns most, and in which region?",
        before: "Regions are in the database, categories in a CSV file, prices inside the orders; and only orders that were \
                 paid count, which the data lake knows.",
        kind: StepKind::Query,
        sql: "\
WITH items AS (SELECT order_id, user_id, unnest(items) AS item FROM files.orders),
     paid AS (SELECT order_id FROM lake.transactions WHERE status = 'captured')
SELECT r.name AS region, p.category,
       sum(i.item['quantity']) AS sold,
       round(sum(i.item['quantity'] * i.item['unit_price']), 2) AS revenue
FROM items i
JOIN files.products p ON p.sku = i.item['sku']
JOIN shop.customers c ON c.id = i.user_id
JOIN shop.regions r ON r.id = c.region_id
WHERE i.order_id IN (SELECT order_id FROM paid)
GROUP BY r.name, p.category
ORDER BY revenue DESC
LIMIT 8",
    },
    Step {
        title: "Were all orders paid?",
        before: "Orders and payments are kept apart, and do not quite agree. A full join keeps what has no match on either \
                 side, and the receipt under the answer counts it. Any query prints its receipt with --receipt.",
        kind: StepKind::QueryWithReceipt,
        sql: "\
WITH paid AS (SELECT order_id, amount FROM lake.transactions WHERE status = 'captured')
SELECT coalesce(o.status, '(no such order)') AS order_status,
       count(o.order_id) AS orders, count(p.order_id) AS paid, sum(p.amount) AS amount
FROM files.orders o
FULL JOIN paid p ON p.order_id = o.order_id
GROUP BY order_status
ORDER BY orders DESC",
    },
    Step {
        title: "How is it done?",
        before: "The plan, read from the bottom: each source is asked in its own language for the little that is needed; the \
                 rest is done here. Nothing is read to show it.",
        kind: StepKind::Explain,
        sql: "\
SELECT r.name AS region, count(*) AS orders
FROM shop.customers c
JOIN shop.regions r ON r.id = c.region_id
JOIN files.orders o ON c.id = o.user_id
WHERE c.signed_up >= '2024-01-01' AND o.status = 'shipped'
GROUP BY r.name
ORDER BY orders DESC",
    },
];
