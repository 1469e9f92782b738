# Copyright: diskless.statelite contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Appends files to files, many by one process, where the image has Perl: batches.sh has the slow way, one cat for each.
# Lines on standard input: PATH<TAB>PLACE<TAB>FILE…; what can't even be begun is printed again, for the slow way to tell why.
# No `use`: an image may have Perl without its modules, and then not even strict is there.

LINE: while ( my $line = <STDIN> ) {
    chomp $line;
    my ( $path, $place, @files ) = split /\t/, $line;
    my $all = '';
    for my $file (@files) {
        my $from;
        if ( !open( $from, '<:raw', $file ) || !-f $from ) { print "$line\n"; next LINE; }
        local $/ = undef;
        my $piece = <$from>;
        $all .= $piece if defined $piece;
    }
    my $to;
    if ( !-f $place || !open( $to, '>>:raw', $place ) ) { print "$line\n"; next LINE; }
    my $size = -s $place;
    next if print( {$to} $all ) && close $to;
    truncate $place, $size;
    print "$line\n";
}
