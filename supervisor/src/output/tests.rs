use std::io::Write;

use belljar_protocol::SecretMap;

use super::*;

fn capture(limit: u64, secret: Option<&[u8]>) -> (Capture, io::PipeWriter) {
    let mut map = SecretMap::new();
    if let Some(value) = secret {
        map.insert("KEY", value.to_vec()).unwrap();
    }
    let (reader, writer) = io::pipe().unwrap();
    let mut capture = Capture::new(reader).unwrap();
    capture.begin(limit, Redactor::new(&map));
    (capture, writer)
}

fn flood(mut writer: io::PipeWriter, chunk: Vec<u8>, total: usize) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut left = total;
        while left > 0 {
            let now = left.min(chunk.len());
            writer.write_all(&chunk[..now]).unwrap();
            left -= now;
        }
    })
}

#[tokio::test]
async fn a_flood_is_cut_counted_and_told_once() {
    let (mut capture, writer) = capture(1000, None);
    let writing = flood(writer, vec![b'y'; 8192], 10_000_000);
    assert_eq!(capture.next().await, CaptureEvent::LimitReached);
    assert_eq!(capture.next().await, CaptureEvent::Closed);
    writing.join().unwrap();
    let output = capture.finish();
    assert_eq!((output.bytes.len(), output.dropped_bytes), (1000, 9_999_000));
}

#[tokio::test]
async fn a_stray_holder_of_the_pipe_does_not_delay_the_end() {
    let (mut capture, mut writer) = capture(100, None);
    writer.write_all(b"first").unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(20), capture.next()).await;
    assert!(waited.is_err(), "nothing to tell yet");
    writer.write_all(b" last").unwrap();
    let output = capture.finish();
    assert_eq!((output.bytes.as_slice(), output.dropped_bytes), (&b"first last"[..], 0));
    assert!(writer.write_all(b"x").is_err(), "the read end is gone");
}

#[tokio::test]
async fn nothing_is_lost_of_a_drip_that_rests() {
    let (mut capture, mut writer) = capture(100, None);
    let mut has_rested = false;
    for _ in 0..40 {
        writer.write_all(b"x").unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(1), capture.next()).await;
        assert!(waited.is_err(), "nothing to tell yet");
        has_rested |= matches!(capture.source, Source::Resting(..));
    }
    assert!(has_rested);
    writer.write_all(b"yz").unwrap();
    assert_eq!(capture.finish().bytes, [vec![b'x'; 40], b"yz".to_vec()].concat());
}

#[tokio::test]
async fn exactly_the_limit_is_not_too_much() {
    let (mut capture, mut writer) = capture(5, None);
    writer.write_all(b"12345").unwrap();
    drop(writer);
    assert_eq!(capture.next().await, CaptureEvent::Closed);
    assert_eq!(capture.finish(), Output { bytes: b"12345".to_vec(), dropped_bytes: 0 });
}

#[tokio::test]
async fn a_secret_across_the_limit_leaves_no_beginning() {
    let (mut capture, mut writer) = capture(6, Some(b"hunter2"));
    writer.write_all(b"ab hunter2 cd").unwrap();
    assert_eq!(capture.finish(), Output { bytes: b"ab [re".to_vec(), dropped_bytes: 14 });
}

#[tokio::test]
async fn a_follower_sees_all_that_is_kept_as_it_comes() {
    let (mut capture, mut writer) = capture(20, Some(b"hunter2"));
    let (mut live, mut late) = (capture.live(), capture.live());
    writer.write_all(b"one hun").unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(20), capture.next()).await;
    assert!(waited.is_err(), "nothing to tell yet");
    assert_eq!(live.next().await.unwrap(), b"one ");
    writer.write_all(b"ter2 tw").unwrap();
    assert_eq!(capture.next().await, CaptureEvent::LimitReached);
    assert_eq!(live.next().await.unwrap(), b"[redacted:KEY] t");
    drop(writer);
    assert_eq!(capture.next().await, CaptureEvent::Closed);
    let output = capture.finish();
    assert_eq!(output, Output { bytes: b"one [redacted:KEY] t".to_vec(), dropped_bytes: 1 });
    assert_eq!(live.next().await, None);
    assert_eq!(late.next().await.unwrap(), output.bytes);
    assert_eq!(late.next().await, None);
}

#[tokio::test]
async fn a_drip_is_gathered_and_a_flood_leaves_others_their_turn() {
    let (mut drip, mut writer) = capture(10_000, None);
    let writing = std::thread::spawn(move || {
        for _ in 0..200 {
            writer.write_all(b".").unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let mut live = drip.live();
    let started = Instant::now();
    let (event, (chunks, spent)) = tokio::join!(drip.next(), async {
        let mut chunks = 0;
        let mut seen = 0;
        while seen < 150 {
            seen += live.next().await.unwrap().len();
            chunks += 1;
        }
        (chunks, started.elapsed())
    });
    writing.join().unwrap();
    assert_eq!(event, CaptureEvent::Closed);
    // However slow the writer is, a rest follows each; those that follow the first ones are shorter.
    let most = u128::from(DRIPS_AT_ONCE) + 8 + spent.as_millis() / LONGEST_REST.as_millis();
    assert!(chunks <= most, "{chunks} wake-ups for 150 bytes in {spent:?}");

    let (mut flooded, writer) = capture(0, None);
    let writing = flood(writer, vec![0; 65_536], 1 << 30);
    assert_eq!(flooded.next().await, CaptureEvent::LimitReached);
    tokio::select! {
        biased;
        event = flooded.next() => panic!("the flood ended first: {event:?}"),
        () = tokio::time::sleep(Duration::from_millis(1)) => {}
    }
    while flooded.next().await != CaptureEvent::Closed {}
    writing.join().unwrap();
    assert_eq!(flooded.finish().dropped_bytes, 1 << 30);
}

#[tokio::test]
async fn a_cut_takes_what_was_written_and_the_rest_begins_anew() {
    let (mut capture, mut writer) = capture(4, Some(b"hunter2"));
    writer.write_all(b"one two hunt").unwrap();
    let mut live = capture.live();
    let first = capture.cut(100);
    assert_eq!((first.bytes.as_slice(), first.dropped_bytes), (&b"one "[..], 8));
    assert_eq!(live.next().await.as_deref(), Some(&b"one "[..]));
    assert_eq!(live.next().await, None);
    writer.write_all(b"hunter2!").unwrap();
    drop(writer);
    let mut live = capture.live();
    assert_eq!(capture.next().await, CaptureEvent::Closed);
    assert_eq!(live.next().await.as_deref(), Some(&b"[redacted:KEY]!"[..]));
    assert_eq!(capture.finish().bytes, b"[redacted:KEY]!");
}
