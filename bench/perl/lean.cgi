#!/usr/bin/perl
# The same table by DBI and print alone: no CGI.pm, no templates, the rows and the statuses' counts only.
use strict;
use warnings;
use DBI;

my $db = DBI->connect($ENV{BENCH_DSN}, $ENV{BENCH_USER}, '', { RaiseError => 1, PrintError => 0 });
my %escape = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');
sub html { my $text = shift // '-'; $text =~ s/([&<>"])/$escape{$1}/g; return $text }

print "Content-Type: text/html; charset=utf-8\r\n\r\n<!doctype html><title>Batches</title><h1>Import Media</h1>\n<p>";
my $counts = $db->selectall_arrayref('SELECT status, COUNT(*) FROM ingest_batch GROUP BY status');
print join(', ', map { "$$_[0] $$_[1]" } @$counts), "</p>\n<table>\n";
my $rows = $db->selectall_arrayref(q{
    SELECT b.sync_id, b.status, b.sync_type, b.action, b.item_count, b.total_bytes, b.source_host, b.discovered_at,
           j.id, j.state, j.items_done, j.items_total
    FROM ingest_batch b
    LEFT JOIN import_job j
      ON j.id = (SELECT latest.id FROM import_job latest WHERE latest.batch_id = b.id ORDER BY latest.id DESC LIMIT 1)
    ORDER BY b.discovered_at DESC, b.id DESC LIMIT 50});
for my $row (@$rows) {
    my $id = html(shift @$row);
    print qq{<tr><td><a href="$ENV{SCRIPT_NAME}?action=detail&amp;sync_id=$id">$id</a></td>},
        (map { '<td>' . html($_) . '</td>' } @$row), "</tr>\n";
}
print "</table>\n";
