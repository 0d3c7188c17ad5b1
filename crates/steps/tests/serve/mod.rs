//! `refit-step serve` as a process, asked over a real socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::{Value, json};

use crate::support::{Data, Pipeline};

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn of(pipeline: &Pipeline) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refit-step"));
        command.args(["serve", "--host", "127.0.0.1", "--model"]).arg(pipeline.folder("model"));
        command.env("SAGEMAKER_BIND_TO_PORT", "0").env_remove("REFIT_PREDICTION").stdout(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("reads");
        let (_, address) = line.trim().split_once("http://").expect("says where");
        Server { child, address: address.to_owned() }
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
            .expect("writes");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("reads");
        let (head, body) = text.split_once("\r\n\r\n").expect("a response");
        (head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status"), body.to_owned())
    }

    fn invoke(&self, content_type: &str, body: &str) -> (u16, String) {
        self.ask("POST", "/invocations", &format!("Content-Type: {content_type}\r\n"), body)
    }

    fn terminate(mut self) -> ExitStatus {
        let script = format!("kill -s TERM {}", self.child.id());
        assert!(Command::new("/bin/sh").args(["-c", &script]).status().expect("runs").success());
        self.child.wait().expect("ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_trained_model_is_served() {
    let pipeline = Pipeline::new(json!({}));
    pipeline.write("processing/reference/2024.csv", &Data::regression(600).to_csv());
    pipeline.run_all().expect("trains");
    let server = Server::of(&pipeline);
    assert_eq!(server.ask("GET", "/ping", "", ""), (200, String::new()));

    let (status, one) = server.invoke("application/json", r#"{"color": "red", "size": 2.5}"#);
    assert_eq!(status, 200, "{one}");
    let one: Value = serde_json::from_str(&one).expect("JSON");
    let score = one["score"].as_f64().expect("a number");
    let csv = server.invoke("text/csv", "red,2.5\nred,2.5\n");
    assert_eq!(csv, (200, format!("{score:?}\n{score:?}\n")));
    let lines = server.invoke("application/jsonlines", "{\"size\": 2.5, \"color\": \"red\"}\n");
    assert_eq!(lines, (200, format!("{}\n", json!({ "score": score }))));
    let headers = "Content-Type: text/csv\r\nAccept: application/json\r\n";
    let (_, asked) = server.ask("POST", "/invocations", headers, "red,2.5");
    assert_eq!(asked, json!({ "predictions": [{ "score": score }] }).to_string());

    let (status, why) = server.invoke("application/json", r#"{"color": "red"}"#);
    assert_eq!(status, 400);
    assert!(why.contains("feature `size` is absent"), "{why}");
    assert_eq!(server.invoke("text/plain", "x").0, 415);
    assert_eq!(server.ask("GET", "/invocations", "", "").0, 405);
    assert_eq!(server.ask("GET", "/else", "", "").0, 404);
    assert!(server.terminate().success(), "SIGTERM ends it in order");
}

#[test]
fn without_a_model_it_says_so_and_ends() {
    let pipeline = Pipeline::new(json!({}));
    let mut command = Command::new(env!("CARGO_BIN_EXE_refit-step"));
    let output = command.args(["serve", "--port", "0", "--model"]).arg(pipeline.folder("model")).output();
    let output = output.expect("runs");
    assert!(!output.status.success());
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(stderr.contains("model` could not be read"), "{stderr}");
}
