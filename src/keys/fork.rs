//! Record parts of forks and their sources. They are written only where there is something to
//! record, so that the head of a stream that was never forked stays small.

use super::Corrupt;
use super::codec::{Reader, Writer};
use crate::stream::{Asked, ForkStep, Forks, Incarnation, Lineage, Link, Position, Run, Span};

pub(super) fn write_link(writer: &mut Writer, link: Link) {
    writer.raw(&link.hash);
    writer.raw(&link.incarnation.0);
}

pub(super) fn read_link(reader: &mut Reader<'_>) -> Result<Link, Corrupt> {
    Ok(Link {
        hash: reader.array()?,
        incarnation: Incarnation(reader.array()?),
    })
}

pub(super) fn write_forks(writer: &mut Writer, forks: &Forks) {
    writer.byte(u8::from(forks.deleted));
    writer.varint(forks.count);
    writer.many(forks.steps.iter(), |writer, (fork, step)| {
        writer.raw(&fork.0);
        writer.byte(match step {
            ForkStep::Joining => 0,
            ForkStep::Joined => 1,
            ForkStep::Leaving => 2,
        });
    });
}

pub(super) fn read_forks(reader: &mut Reader<'_>) -> Result<Forks, Corrupt> {
    Ok(Forks {
        deleted: flag(reader)?,
        count: reader.varint()?,
        steps: reader.many(|reader| {
            let fork = Incarnation(reader.array()?);
            let step = match reader.byte()? {
                0 => ForkStep::Joining,
                1 => ForkStep::Joined,
                2 => ForkStep::Leaving,
                _ => return Err(Corrupt),
            };
            Ok((fork, step))
        })?,
    })
}

pub(super) fn write_lineage(writer: &mut Writer, lineage: &Lineage) {
    write_link(writer, lineage.source);
    writer.option(lineage.asked.offset, write_position);
    writer.varint(lineage.asked.sub);
    write_position(writer, lineage.point);
    writer.byte(u8::from(lineage.pending));
    writer.varint(lineage.depth);
    writer.varint(lineage.floor);
    writer.many(lineage.runs.iter(), |writer, run| {
        writer.varint(run.first_block);
        writer.raw(&run.owner.0);
    });
    writer.varint(lineage.own_block);
    write_spans(writer, &lineage.owners);
}

pub(super) fn read_lineage(reader: &mut Reader<'_>) -> Result<Lineage, Corrupt> {
    Ok(Lineage {
        source: read_link(reader)?,
        asked: Asked {
            offset: reader.option(read_position)?,
            sub: reader.varint()?,
        },
        point: read_position(reader)?,
        pending: flag(reader)?,
        depth: reader.varint()?,
        floor: reader.varint()?,
        runs: reader.many(|reader| {
            Ok(Run {
                first_block: reader.varint()?,
                owner: Incarnation(reader.array()?),
            })
        })?,
        own_block: reader.varint()?,
        owners: read_spans(reader)?,
    })
}

pub(super) fn write_spans(writer: &mut Writer, spans: &[Span]) {
    writer.many(spans.iter(), |writer, span| {
        writer.varint(span.end);
        writer.raw(&span.owner.0);
    });
}

pub(super) fn read_spans(reader: &mut Reader<'_>) -> Result<Vec<Span>, Corrupt> {
    reader.many(|reader| {
        Ok(Span {
            end: reader.varint()?,
            owner: Incarnation(reader.array()?),
        })
    })
}

pub(super) fn write_position(writer: &mut Writer, position: Position) {
    writer.varint(position.segment);
    writer.varint(position.byte);
}

pub(super) fn read_position(reader: &mut Reader<'_>) -> Result<Position, Corrupt> {
    Ok(Position::new(reader.varint()?, reader.varint()?))
}

pub(super) fn flag(reader: &mut Reader<'_>) -> Result<bool, Corrupt> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Corrupt),
    }
}
