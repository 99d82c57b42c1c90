use std::io::Write;
use std::path::Path;

use serde_json::json;
use tombolo_connector::{ErrorCode, Result, ResultExt};

use super::shop::{Shop, amount, timestamp};
use crate::render::OutputFile;

/// Writes the orders, an object a line. The customer's number is text, as many web shops write it.
pub(super) fn write_orders(shop: &Shop, path: &Path) -> Result<()> {
    write(path, |out| {
        for order in &shop.orders {
            let items: Vec<_> = order
                .items
                .iter()
                .map(
                    |item| json!({"sku": item.sku, "quantity": item.quantity, "unit_price": item.cents as f64 / 100.0}),
                )
                .collect();
            let line = json!({
                "order_id": order.id,
                "user_id": order.user_id.to_string(),
                "placed_at": timestamp(order.second),
                "status": order.status,
                "coupon": order.coupon,
                "items": items,
                "shipping": {"city": order.city, "method": order.method},
            });
            writeln!(out, "{line}")?;
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
