use super::*;

/// Every later version must read these bytes.
#[test]
fn the_bytes_on_disk_stay_as_they_are() {
    let id = StoreId::from_hex("000102030405060708090a0b0c0d0e0f").expect("hex");
    assert_eq!(StoreId::from_hex(&id.to_hex()), Some(id));
    let segment = SegmentHeader {
        segment: 7,
        highest: ChangeNumber::new(9),
    };
    let bytes = segment.encode(id);
    assert_eq!(bytes.len(), SEGMENT_HEADER);
    assert_eq!(SegmentHeader::decode(&bytes, id), Some(segment));
    assert_eq!(
        hex(&bytes),
        "44534c4f475345470100000007000000000102030405060708090a0b0c0d0e0f0900000000000000a12c908a"
    );
    let batch = BatchHeader {
        proof: true,
        length: 33,
        records: 1,
        segment: 7,
        offset: 44,
        digest: 5,
    };
    let bytes = batch.encode(id);
    assert_eq!(BatchHeader::decode(&bytes, id), Some(batch));
    assert_eq!(
        hex(&bytes),
        "d5f10ba7010000002100000001000000070000002c000000050000001b443087"
    );
    let mut record = RecordHeader {
        kind: Kind::Tombstone,
        key_length: 1,
        value_length: 8,
        sequence: ChangeNumber::new(10),
        value_checksum: 6,
        checksum: 0,
    };
    let mut bytes = Vec::new();
    record.checksum = record.encode("k", None, id, &mut bytes);
    let (header, key) = bytes.split_at(RECORD_HEADER);
    assert_eq!(RecordHeader::decode(header), Some(record));
    assert!(record.verify(header, key, id));
    assert!(!record.verify(header, b"l", id));
    assert_eq!(
        hex(&bytes),
        "02000100080000000a00000000000000060000007822f37e6b"
    );
    let range = Range {
        first: 3,
        origin: 4,
    };
    assert_eq!(hex(&range.encode()), "0300000004000000");
    assert_eq!(Range::decode(&range.encode()), Some(range));
    let head = PatchHead {
        base: 76,
        length: 2000,
        checksum: 8,
    };
    assert_eq!(PatchHead::decode(&head.encode()), Some(head));
    let mut record = RecordHeader {
        kind: Kind::Patch,
        value_length: 40,
        ..record
    };
    let mut bytes = Vec::new();
    record.checksum = record.encode("k", Some(head), id, &mut bytes);
    let (header, named) = bytes.split_at(RECORD_HEADER);
    assert_eq!(RecordHeader::decode(header), Some(record));
    assert_eq!(named.len(), record.named_length());
    assert!(record.verify(header, named, id));
    assert!(!record.verify(header, &named[..1], id));
    assert_eq!(
        hex(&bytes),
        "03000100280000000a0000000000000006000000e1076f916b4c000000d007000008000000"
    );
}

#[test]
fn no_flipped_bit_of_a_header_passes() {
    let id = StoreId::random();
    let segment = SegmentHeader {
        segment: 7,
        highest: ChangeNumber::new(9),
    };
    let batch = BatchHeader {
        proof: false,
        length: 33,
        records: 1,
        segment: 7,
        offset: 44,
        digest: 5,
    };
    for bit in 0..SEGMENT_HEADER * 8 {
        let mut bytes = segment.encode(id);
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(SegmentHeader::decode(&bytes, id), None);
    }
    for bit in 0..BATCH_HEADER * 8 {
        let mut bytes = batch.encode(id);
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(BatchHeader::decode(&bytes, id), None);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
