use std::io::Write;
use std::path::Path;

use serde::Serialize;
use tombolo_connector::{ErrorCode, Result, ResultExt};

use super::shop::{Shop, amount, timestamp};
use crate::render::OutputFile;

#[derive(Serialize)]
struct OrderLine<'a> {
    order_id: i64,
    user_id: String,
    placed_at: String,
    status: &'a str,
    coupon: Option<&'a str>,
    items: Vec<ItemLine<'a>>,
    shipping: Shipping<'a>,
}

#[derive(Serialize)]
struct ItemLine<'a> {
    sku: &'a str,
    quantity: u64,
    unit_price: f64,
}

#[derive(Serialize)]
struct Shipping<'a> {
    city: &'a str,
    method: &'a str,
}

/// Writes the orders, an object a line. The customer's number is text, as many web shops write it.
pub(super) fn write_orders(shop: &Shop, path: &Path) -> Result<()> {
    write(path, |out| {
        for order in &shop.orders {
            let line = OrderLine {
                order_id: order.id,
                user_id: order.user_id.to_string(),
                placed_at: timestamp(order.second),
                status: order.status,
                coupon: order.coupon,
                items: order
                    .items
                    .iter()
                    .map(|item| ItemLine {
                        sku: &item.sku,
                        quantity: item.quantity,
                        unit_price: item.cents as f64 / 100.0,
                    })
                    .collect(),
                shipping: Shipping { city: order.city, method: order.method },
            };
            serde_json::to_writer(&mut *out, &line)?;
            writeln!(out)?;
        }
        Ok(())
    })
}

/// Writes the products as comma-separated values.
pub(super) fn write_products(shop: &Shop, path: &Path) -> Result<()> {
    write(path, |out| {
        writeln!(out, "sku,name,category,price")?;
        for product in &shop.products {
            writeln!(out, "{},{},{},{}", product.sku, product.name, product.category, amount(product.cents))?;
        }
        Ok(())
    })
}

/// Writes a text file.
pub(super) fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let file = OutputFile::create(path)?;
    fill(&mut file.writer()).or_error(ErrorCode::FileFailed, || format!("cannot write {}", path.display()))?;
    file.commit()
}
