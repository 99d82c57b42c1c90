mod catalog;
mod differential;
mod printing;
mod reading;
mod support;
